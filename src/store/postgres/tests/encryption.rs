//! TLS to a real server, with certificates made for the test.

use super::cluster::{Certificate, Server};
use super::*;

async fn opens(url: &str) -> Result<(), String> {
    let store = open(url).map_err(|error| format!("{:?}: {}", error.kind(), error.chain()))?;
    accepted(&store, text(1)).await;
    let desk = store.link.read().await.unwrap();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted = desk.one(sql, &[]).await.unwrap().get::<_, bool>(0);
    assert!(encrypted, "{url}");
    let emptied = desk
        .script("ROLLBACK; TRUNCATE messages, deliveries; BEGIN")
        .await;
    desk.end(emptied).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_checked_as_far_as_the_url_asks() {
    let (ours, theirs) = (Certificate::authority(), Certificate::authority());
    let server = Server::encrypted(&ours.sign("DNS:db.example.org"));
    let elsewhere = Server::encrypted(&ours.sign("IP:127.0.0.1"));
    let url = |server: &Server, mode: &str, roots: Option<&Certificate>| {
        let roots = roots.map(|roots| format!("&sslrootcert={}", roots.file.display()));
        let place = format!("postgres://postgres:secret@{}/postgres", server.place());
        format!("{place}?sslmode={mode}{}", roots.unwrap_or_default())
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
        assert_eq!(opens(&url).await, Ok(()), "{url}");
    }
    for (mode, roots, words) in [
        ("require", Some(&theirs), "BadSignature"),
        ("verify-ca", Some(&theirs), "BadSignature"),
        ("verify-full", Some(&ours), "db.example.org"),
    ] {
        let url = url(&server, mode, roots);
        let refused = opens(&url).await.unwrap_err();
        let said = "Usage: cannot bring the database up to date: the database server's certificate is not to be trusted";
        assert!(
            refused.starts_with(said) && refused.contains(words),
            "{url}: {refused}"
        );
    }
    let refused = opens(&url(&server, "disable", None)).await.unwrap_err();
    assert!(refused.contains("refuses this user or password"), "{refused}");
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_trusted_when_it_is_named_itself() {
    let alone = Certificate::alone("IP:127.0.0.1");
    let server = Server::encrypted(&alone);
    let url = format!(
        "postgres://postgres:secret@{}/postgres?sslmode=verify-full",
        server.place()
    );
    let named = format!("{url}&sslrootcert={}", alone.file.display());
    assert_eq!(opens(&named).await, Ok(()));
    let refused = opens(&url).await.unwrap_err();
    assert!(refused.contains("sslrootcert=FILE"), "{refused}");
}

#[tokio::test]
async fn roots_that_cannot_be_read_are_refused_with_the_reason() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    for (file, words) in [
        ("/no/such.pem", "cannot read /no/such.pem"),
        (empty.path().to_str().unwrap(), "no certificate in"),
    ] {
        let url = format!("postgres://postgres@127.0.0.1/none?sslmode=verify-full&sslrootcert={file}");
        let refused = super::super::migrate(&url, PATIENCE).unwrap_err();
        assert_eq!(refused.kind(), Kind::Usage);
        assert!(refused.to_string().contains(words), "{refused}");
    }
}
