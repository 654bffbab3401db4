//! Each fault has on the wire the effect that it describes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{connect, emulator, get, parse, raw, send};
use crate::fault::MISSING_BYTES;
use crate::imds::TOKEN;
use crate::{Emulator, Fault, FaultRule, RefusingPort, Share, SilentListener};

/// The request that these tests spoil the answer of: 200 with 56 bytes.
fn request() -> String {
    format!("PUT {TOKEN} HTTP/1.1\r\nConnection: close\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n")
}

/// The length of a token.
const BODY: usize = 56;

fn faulty(fault: Fault) -> Emulator {
    let emulator = emulator();
    emulator.fault("/latest/api/", fault);
    emulator
}

fn answer(fault: Fault) -> Vec<u8> {
    raw(&faulty(fault).imds_url(), &request())
}

fn told_length(head: &str) -> usize {
    let line = head.lines().find(|line| line.starts_with("Content-Length: "));
    let value = line.and_then(|line| line.split(' ').nth(1));
    value.and_then(|value| value.parse().ok()).expect("a Content-Length")
}

/// Sends the request and reads until that many bytes have come, or the time is over.
fn read_some(stream: &mut TcpStream, at_least: usize) -> Vec<u8> {
    stream.write_all(request().as_bytes()).expect("the request is sent");
    let mut received = Vec::new();
    let mut buffer = [0; 8192];
    while received.len() < at_least {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => received.extend(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    received
}

#[test]
fn hang_never_answers_and_keeps_the_connection() {
    let emulator = faulty(Fault::Hang);
    let mut stream = connect(&emulator.imds_url());
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout above zero");
    stream.write_all(request().as_bytes()).expect("the request is sent");
    let error = stream.read(&mut [0]).expect_err("nothing comes, not even the end");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(emulator.requests()[0].fault, Some("hang"));
}

#[test]
fn drip_sends_byte_by_byte() {
    let emulator = faulty(Fault::Drip(Duration::from_millis(40)));
    let mut stream = connect(&emulator.imds_url());
    let started = Instant::now();
    assert_eq!(read_some(&mut stream, 6).get(..6), Some(&b"HTTP/1"[..]));
    assert!(started.elapsed() >= Duration::from_millis(5 * 40));
}

#[test]
fn drip_body_sends_the_head_at_once() {
    let emulator = faulty(Fault::DripBody(Duration::from_millis(40)));
    let mut stream = connect(&emulator.imds_url());
    let started = Instant::now();
    let head = read_some(&mut stream, 17);
    assert!(parse(&head).body.len() <= 2);
    let mut rest = [0; 5];
    stream.read_exact(&mut rest).expect("the body drips");
    assert!(started.elapsed() >= Duration::from_millis(4 * 40));
}

#[test]
fn delay_answers_late_but_well() {
    let started = Instant::now();
    assert_eq!(parse(&answer(Fault::Delay(Duration::from_millis(200)))).status, 200);
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn endless_bodies_have_no_end() {
    for (fault, chunked) in [(Fault::EndlessChunks, true), (Fault::EndlessBody, false)] {
        let emulator = faulty(fault);
        let mut stream = connect(&emulator.imds_url());
        let received = read_some(&mut stream, 3_000_000);
        assert!(received.len() >= 3_000_000);
        let reply = parse(&received);
        assert_eq!(reply.head.contains("Transfer-Encoding: chunked"), chunked);
        assert_eq!(reply.body.starts_with(b"1000\r\nA"), chunked);
        assert!(!reply.head.contains("Content-Length"));
    }
}

#[test]
fn an_endless_body_does_not_starve_other_connections() {
    let emulator = faulty(Fault::EndlessBody);
    let mut stream = connect(&emulator.imds_url());
    read_some(&mut stream, 100_000);
    assert_eq!(send(&emulator.imds_url(), "GET", "/latest/", &[], "").status, 401);
}

#[test]
fn content_lengths_lie_in_both_directions() {
    let reply = parse(&answer(Fault::LongContentLength));
    assert_eq!(
        (told_length(&reply.head), reply.body.len()),
        (BODY + MISSING_BYTES, BODY)
    );
    let reply = parse(&answer(Fault::ShortContentLength));
    assert_eq!((told_length(&reply.head), reply.body.len()), (BODY / 2, BODY));
}

#[test]
fn cut_closes_in_the_middle_of_the_body() {
    let reply = parse(&answer(Fault::Cut));
    assert_eq!((told_length(&reply.head), reply.body.len()), (BODY, BODY / 2));
}

#[test]
fn cut_head_closes_in_the_middle_of_the_head() {
    let received = answer(Fault::CutHead);
    assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(!received.windows(4).any(|four| four == b"\r\n\r\n"));
}

#[test]
fn reset_body_resets_after_half_the_body() {
    let emulator = faulty(Fault::ResetBody);
    let mut stream = connect(&emulator.imds_url());
    stream.write_all(request().as_bytes()).expect("the request is sent");
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received);
    assert_eq!(end.err().map(|error| error.kind()), Some(ErrorKind::ConnectionReset));
    let reply = parse(&received);
    assert_eq!((told_length(&reply.head), reply.body.len()), (BODY, BODY / 2));
}

#[test]
fn close_after_answers_properly_and_then_closes_without_saying_so() {
    let emulator = faulty(Fault::CloseAfter);
    let mut stream = connect(&emulator.imds_url());
    let open = request().replace("Connection: close\r\n", "");
    stream.write_all(open.as_bytes()).expect("the request is sent");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("it closes in good order");
    let reply = parse(&received);
    assert_eq!((reply.status, reply.body.len()), (200, BODY));
    assert!(!reply.head.contains("Connection"));
}

#[test]
fn each_connection_is_closed_after_one_answer_where_that_is_asked_for() {
    let emulator = emulator();
    emulator.close_each_connection();
    let mut stream = connect(&emulator.imds_url());
    let open = request().replace("Connection: close\r\n", "");
    stream.write_all(open.as_bytes()).expect("the request is sent");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("it closes in good order");
    assert!(parse(&received).head.contains("\r\nConnection: close\r\n"));
}

#[test]
fn a_share_of_the_connections_is_reset_and_it_is_the_same_one_each_time() {
    let share = Share { percent: 25, seed: 7 };
    let run = || {
        let emulator = emulator();
        emulator.reset_connections(share);
        let reset = |_| {
            let mut stream = connect(&emulator.imds_url());
            // It may be reset before the request is sent.
            stream.write_all(request().as_bytes()).is_err() || stream.read(&mut [0]).is_err()
        };
        (0..100).map(reset).collect::<Vec<_>>()
    };
    let first = run();
    let count = first.iter().filter(|reset| **reset).count();
    assert!((15..=35).contains(&count), "{count}");
    assert_eq!(run(), first);
}

#[test]
fn a_share_of_the_requests_is_picked_on_each_path_for_itself() {
    let share = Share { percent: 25, seed: 7 };
    let statuses = |paths: &[&str]| {
        let emulator = emulator();
        emulator.fault_rule(FaultRule::imds("/latest/meta-data/", Fault::Status(503)).share(share));
        let both = |_| paths.iter().fold(0, |_, path| get(&emulator, path).status);
        (0..40).map(both).collect::<Vec<_>>()
    };
    let alone = statuses(&["instance-id"]);
    assert!(alone.contains(&503) && alone.contains(&200));
    assert_eq!(statuses(&["placement/region", "instance-id"]), alone);
}

#[test]
fn reset_and_close_end_without_an_answer_each_in_its_way() {
    for (fault, expected) in [(Fault::Reset, Some(ErrorKind::ConnectionReset)), (Fault::Close, None)] {
        let emulator = faulty(fault);
        let mut stream = connect(&emulator.imds_url());
        stream.write_all(request().as_bytes()).expect("the request is sent");
        let mut received = Vec::new();
        let end = stream.read_to_end(&mut received);
        assert_eq!(end.err().map(|error| error.kind()), expected);
        assert_eq!(received, b"");
    }
}

#[test]
fn redirect_html_status_and_body_replace_the_answer() {
    let reply = parse(&answer(Fault::Redirect("http://elsewhere.test/".to_owned())));
    assert_eq!(reply.status, 302);
    assert!(reply.head.contains("\r\nLocation: http://elsewhere.test/\r\n"));
    let reply = parse(&answer(Fault::Html));
    assert_eq!(reply.status, 200);
    assert!(reply.text().starts_with("<!DOCTYPE html>"));
    assert!(reply.head.contains("Content-Type: text/html"));
    assert_eq!(parse(&answer(Fault::Status(503))).status, 503);
    let reply = parse(&answer(Fault::Body(vec![b'x'; 5_000_000])));
    assert_eq!((reply.status, reply.body.len()), (200, 5_000_000));
    assert_eq!(answer(Fault::Raw(b"SSH-2.0-x\r\n".to_vec())), b"SSH-2.0-x\r\n");
}

#[test]
fn header_flood_is_followed_by_the_proper_answer() {
    let reply = parse(&answer(Fault::HeaderFlood(5000)));
    assert_eq!(reply.head.matches("\r\nX-Flood-").count(), 5000);
    assert_eq!((reply.status, reply.body.len()), (200, BODY));
}

#[test]
fn a_rule_hits_its_method_its_path_and_its_turn_only() {
    let emulator = emulator();
    let region = "/latest/meta-data/placement/region";
    emulator.fault_rule(
        FaultRule::imds(region, Fault::Status(503))
            .method("GET")
            .from(2)
            .first(2),
    );
    let statuses: Vec<_> = (0..5).map(|_| get(&emulator, region).status).collect();
    assert_eq!(statuses, [200, 503, 503, 200, 200]);
    assert_eq!(get(&emulator, "instance-id").status, 200);

    emulator.clear_faults();
    emulator.fault_rule(FaultRule::imds("/", Fault::Status(500)).method("PUT"));
    assert_eq!(super::token(&emulator, "60").status, 500);
    assert_eq!(super::get_with(&emulator, region, "none").status, 401);
}

#[test]
fn latency_holds_every_answer_back() {
    let emulator = emulator();
    emulator.set_latency(Duration::from_millis(150));
    let started = Instant::now();
    assert_eq!(get(&emulator, "instance-id").status, 200);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_silent_listener_takes_connections_and_says_nothing() {
    let silent = SilentListener::new().expect("loopback has free ports");
    let mut stream = connect(&silent.url());
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a timeout above zero");
    stream.write_all(request().as_bytes()).expect("the kernel takes it");
    assert!(stream.read(&mut [0]).is_err());
}

#[test]
fn a_refusing_port_refuses() {
    let refusing = RefusingPort::new().expect("loopback has free ports");
    let url = refusing.url();
    let address = url.strip_prefix("http://").expect("an http URL");
    let error = TcpStream::connect(address).expect_err("nobody listens there");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
