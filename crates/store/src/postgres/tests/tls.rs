//! TLS to a real server, with certificates created for the test.

use super::server::PostgresServer;
use super::*;
use postrider_core::testing::certificates::TestCertificate;

async fn open_encrypted(url: &str) -> Result<(), String> {
    let store = open(url).map_err(|error| format!("{:?}: {}", error.kind(), error.chain()))?;
    accepted(&store, sms(1)).await;
    let transaction = store.pool.begin_read().await.unwrap();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted = transaction.query_one(sql, &[]).await.unwrap().get::<_, bool>(0);
    assert!(encrypted, "{url}");
    let truncated = transaction.batch_execute("ROLLBACK; TRUNCATE messages, deliveries; BEGIN").await;
    transaction.finish(truncated).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_checked_as_the_url_requires() {
    let (ours, theirs) = (TestCertificate::authority(), TestCertificate::authority());
    let server = PostgresServer::with_tls(&ours.sign(&["db.example.org"]));
    let elsewhere = PostgresServer::with_tls(&ours.sign(&["127.0.0.1"]));
    let url = |server: &PostgresServer, mode: &str, roots: Option<&TestCertificate>| {
        let roots = roots.map(|roots| format!("&sslrootcert={}", roots.certificate_path().display()));
        let base = format!("postgres://postgres:secret@{}/postgres", server.host_and_port());
        format!("{base}?sslmode={mode}{}", roots.unwrap_or_default())
    };
    for (server, mode, roots) in [
        (&server, "prefer", None),
        (&server, "require", None),
        (&server, "require", Some(&ours)),
        (&server, "verify-ca", Some(&ours)),
        (&elsewhere, "verify-full", Some(&ours)),
        (&elsewhere, "require&channel_binding=require", None),
    ] {
        let url = url(server, mode, roots);
        assert_eq!(open_encrypted(&url).await, Ok(()), "{url}");
    }
    for (mode, roots, words) in [
        ("require", Some(&theirs), "BadSignature"),
        ("verify-ca", Some(&theirs), "BadSignature"),
        ("verify-full", Some(&ours), "db.example.org"),
    ] {
        let url = url(&server, mode, roots);
        let refused = open_encrypted(&url).await.unwrap_err();
        let message =
            "Usage: cannot bring the database up to date: the database server's certificate is not trusted";
        assert!(refused.starts_with(message) && refused.contains(words), "{url}: {refused}");
    }
    let refused = open_encrypted(&url(&server, "disable", None)).await.unwrap_err();
    assert!(refused.contains("rejects the user or password"), "{refused}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_it_is_the_root_file() {
    let alone = TestCertificate::self_signed_server(&["127.0.0.1"]);
    let server = PostgresServer::with_tls(&alone);
    let url = format!("postgres://postgres:secret@{}/postgres?sslmode=verify-full", server.host_and_port());
    let named = format!("{url}&sslrootcert={}", alone.certificate_path().display());
    assert_eq!(open_encrypted(&named).await, Ok(()));
    let refused = open_encrypted(&url).await.unwrap_err();
    assert!(refused.contains("sslrootcert=FILE"), "{refused}");
}

#[tokio::test]
async fn an_unreadable_root_file_is_refused_with_the_reason() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    for (file, words) in
        [("/no/such.pem", "cannot read /no/such.pem"), (empty.path().to_str().unwrap(), "no certificate in")]
    {
        let url = format!("postgres://postgres@127.0.0.1/none?sslmode=verify-full&sslrootcert={file}");
        let refused = super::super::migrate(&url, TIMEOUT).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Usage);
        assert!(refused.to_string().contains(words), "{refused}");
    }
}
