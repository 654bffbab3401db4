//! Many logins at the same time: two users, thirty logins.

use std::time::Duration;

use crate::key::KeyPair;
use crate::ssh::{DENIED, PATIENCE, Ssh};
use crate::world::{Setup, USER, in_a_world};

/// The command that keeps a session open until all others have started.
const STAYING: &str = "id -un; sleep 2";

#[test]
fn two_users_get_in_at_once_each_with_a_key_of_their_own() {
    in_a_world(Setup::default(), |world| {
        let users = [USER, "ubuntu"];
        let keys = [KeyPair::ed25519(), KeyPair::ed25519()];
        let requests = [0, 1].map(|i| world.push(users[i], &keys[i]));
        let logins = [0, 1].map(|i| Ssh::to(users[i]).with(&keys[i]).running(STAYING).start());
        // At the same time, each user tries the other's key.
        let crossed = [0, 1].map(|i| Ssh::to(users[i]).with(&keys[1 - i]).start());
        for (i, login) in logins.into_iter().enumerate() {
            world.assert_in(&login.end_within(PATIENCE), users[i], &keys[i], &requests[i]);
        }
        for login in crossed {
            let login = login.end_within(PATIENCE);
            assert_eq!(login.status, Some(255), "{login:#?}");
            assert!(login.stderr.contains(DENIED), "{login:#?}");
        }
    });
}

#[test]
fn thirty_logins_at_once_all_get_in() {
    let setup = Setup {
        // This test runs alone, because its thirty clients use all cores.
        alone: true,
        ..Setup::default()
    };
    in_a_world(setup, |world| {
        let keys: Vec<_> = std::iter::repeat_with(KeyPair::ed25519).take(30).collect();
        let requests: Vec<_> = keys.iter().map(|key| world.push(USER, key)).collect();
        let logins: Vec<_> = keys
            .iter()
            .map(|key| Ssh::to(USER).with(key).running(STAYING).start())
            .collect();
        let logins: Vec<_> = logins.into_iter().map(|login| login.end_within(PATIENCE)).collect();
        for ((login, key), request) in logins.iter().zip(&keys).zip(&requests) {
            world.assert_in(login, USER, key, request);
        }
        let slowest = logins.iter().map(|login| login.duration).max().unwrap_or_default();
        println!(
            "MEASURED: thirty logins at once: all in, the slowest after {:.1} s",
            (slowest - Duration::from_secs(2)).as_secs_f64()
        );
    });
}
