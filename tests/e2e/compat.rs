//! The compatible APIs in the program: `kill -9` after their success answers loses no message, with real accounts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::raw_http;
use super::test_gateway::{TestGateway, wait_until};

/// Messages that are accepted before the program is killed.
const ACCEPTED_MIN: usize = 60;

const CONFIG: &str = "[compat.kannel]\nenabled = true\n[compat.jasmin]\nenabled = true\n[[keys]]\nname = \"shop\"\n\
                      scopes = [\"send\"]\nuser = \"shop\"\npassword = \"${env:SHOP_PASSWORD}\"\n";

/// Sends the message over one of the APIs and returns its id if it was accepted.
fn send(at: std::net::SocketAddr, number: usize) -> Option<String> {
    if number.is_multiple_of(2) {
        let path = format!("/cgi-bin/sendsms?user=shop&pass=s3same&to=09122222222&text=kannel-{number}");
        let response = raw_http::get(at, &path)?;
        assert_eq!(
            (response.status, response.body.as_str()),
            (202, "0: Accepted for delivery"),
            "{response:?}"
        );
        return response.header("x-postrider-message-id").map(str::to_owned);
    }
    let path = format!("/send?username=shop&password=s3same&to=09122222222&content=jasmin-{number}");
    let response = raw_http::get(at, &path)?;
    assert_eq!(response.status, 200, "{response:?}");
    Some(response.body.strip_prefix("Success \"")?.strip_suffix('"')?.to_owned())
}

#[test]
fn no_message_that_kannel_or_jasmin_clients_sent_is_lost_by_a_kill() {
    let gateway = TestGateway::new(CONFIG);
    let console = gateway.start_serve_with_env(&[("SHOP_PASSWORD", "s3same")]);
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (at, accepted) = (gateway.address, Arc::clone(&accepted));
            std::thread::spawn(move || {
                // Ends when the program is killed.
                for number in 0.. {
                    let Some(id) = send(at, number * 4 + client) else { return };
                    accepted.lock().unwrap().push(id);
                }
            })
        })
        .collect();
    wait_until("enough messages are accepted", || accepted.lock().unwrap().len() >= ACCEPTED_MIN);
    console.kill();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let store = gateway.open_store();
    let mut statement = store.prepare("SELECT lower(hex(id)) FROM messages").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let stored: HashSet<String> = rows.map(Result::unwrap).collect();
    let accepted = accepted.lock().unwrap();
    assert!(accepted.len() >= ACCEPTED_MIN);
    let lost: Vec<_> = accepted.iter().filter(|id| !stored.contains(&id.replace('-', ""))).collect();
    assert!(lost.is_empty(), "{} of {} accepted messages are lost: {lost:?}", lost.len(), accepted.len());
}
