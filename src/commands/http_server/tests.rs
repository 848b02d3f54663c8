use super::*;

#[tokio::test]
async fn the_error_of_a_port_in_use_names_address_and_remedy() {
    let first = bind_listener(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = first.local_addr().unwrap();
    let error = bind_listener(address).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_a_failure() {
    let mut ended = HttpServer::spawn(|_| async { Ok(()) });
    assert_eq!(ended.wait_for_failure().await.to_string(), "HTTP server stopped unexpectedly");
    let mut failed =
        HttpServer::spawn(|_| async { Err(Error::new(ErrorKind::Unavailable, "no file handles left")) });
    assert_eq!(failed.wait_for_failure().await.to_string(), "no file handles left");
    let mut panicked = HttpServer::spawn(|_| async { panic!("a defect") });
    assert_eq!(panicked.wait_for_failure().await.kind(), ErrorKind::Internal);
    panicked.shut_down().await;
}
