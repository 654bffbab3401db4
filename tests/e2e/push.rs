//! Pushes a key as any SDK does: with a signed `SendSSHPublicKey` request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use emulator::http::Request;
use emulator::service::{CONTENT_TYPE, SIGNING_NAME, TARGET};
use emulator::{Credentials, sigv4};
use serde_json::{Value, json};

/// The address of the service, and the caller's credentials.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) credentials: Credentials,
    pub(crate) region: String,
    pub(crate) instance_id: String,
}

impl Client {
    /// Pushes a key for a user; returns the request ID.
    #[track_caller]
    pub(crate) fn push(&self, user: &str, line: &str) -> String {
        let body = json!({"InstanceId": self.instance_id, "InstanceOSUser": user, "SSHPublicKey": line});
        let text = |text: &str| text.to_owned();
        let mut request = Request {
            method: text("POST"),
            path: text("/"),
            headers: vec![
                (text("Host"), self.address.clone()),
                (text("Content-Type"), text(CONTENT_TYPE)),
                (text("X-Amz-Target"), text(TARGET)),
            ],
            body: body.to_string().into_bytes(),
        };
        sigv4::sign(
            &mut request,
            &self.credentials,
            &self.region,
            SIGNING_NAME,
            emulator::now(),
        );
        let (head, answer) = self.send(&request);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{answer}");
        let answer: Value = serde_json::from_str(&answer).expect("the answer is JSON");
        assert_eq!(answer["Success"], true);
        answer["RequestId"].as_str().expect("there is a request id").to_owned()
    }

    fn send(&self, request: &Request) -> (String, String) {
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "Content-Length: {}\r\nConnection: close\r\n\r\n",
            request.body.len()
        ));
        let mut connection = TcpStream::connect(&self.address).expect("the emulator listens");
        let patience = Some(Duration::from_secs(10));
        connection.set_read_timeout(patience).expect("a timeout above zero");
        connection.write_all(head.as_bytes()).expect("the request is sent");
        connection.write_all(&request.body).expect("the request is sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("the answer has a head");
        (head.to_owned() + "\n", body.to_owned())
    }
}
