use super::*;

#[test]
fn each_host_has_its_own_configuration() {
    let url = "postgres://me:p%40s@one:5433,two/db?sslmode=disable&application_name=x";
    let address = parse(url, ServerRole::Primary).unwrap();
    let seen = |host: &Config| (host.get_hosts().to_vec(), host.get_ports().to_vec());
    let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
    let seen = address.hosts.iter().map(seen).collect::<Vec<_>>();
    assert_eq!(seen[0], (tcp("one"), vec![5433]));
    assert_eq!(seen[1].0, tcp("two"));
    for host in &address.hosts {
        assert_eq!((host.get_user(), host.get_dbname()), (Some("me"), Some("db")));
        assert_eq!(host.get_password(), Some(&b"p@s"[..]));
        assert_eq!(host.get_application_name(), Some("x"));
        assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
}

#[test]
fn the_server_list_has_no_password() {
    let list = |url| parse(url, ServerRole::Primary).unwrap().server_list();
    assert_eq!(list("postgres://me:secret@one:5433,two/db"), "one:5433,two:5432");
    assert_eq!(list("postgres:///db?host=/run"), "/run:5432");
}

#[test]
fn a_single_host_may_be_primary_or_replica_unless_the_url_restricts_it() {
    let target = |url: &str, role| parse(url, role).unwrap().hosts[0].get_target_session_attrs();
    assert_eq!(target("postgres://a/db", ServerRole::Primary), TargetSessionAttrs::Any);
    assert_eq!(target("postgres://a,b/db", ServerRole::Replica), TargetSessionAttrs::ReadOnly);
    let restricted = "postgres://a/db?target_session_attrs=primary";
    assert_eq!(target(restricted, ServerRole::Replica), TargetSessionAttrs::ReadWrite);
}

#[test]
fn a_socket_and_a_url_without_a_database_are_valid() {
    for url in ["postgres://host", "postgres://host?connect_timeout=2", "postgres:///db?host=/run"] {
        assert_eq!(parse(url, ServerRole::Primary).unwrap().hosts.len(), 1, "{url}");
    }
}

#[test]
fn ssl_modes_have_the_meaning_of_libpq() {
    let of = |mode, roots| parse_ssl_mode(mode, roots).unwrap();
    let file = || Roots::File("ca.pem".into());
    assert_eq!(of(None, None), (SslMode::Prefer, CertificateCheck::Unverified));
    assert_eq!(of(Some("disable"), Some("ca.pem")), (SslMode::Disable, CertificateCheck::Unverified));
    assert_eq!(of(Some("require"), None), (SslMode::Require, CertificateCheck::Unverified));
    assert_eq!(of(Some("require"), Some("ca.pem")), (SslMode::Require, CertificateCheck::Issuer(file())));
    assert_eq!(of(Some("verify-ca"), Some("ca.pem")), (SslMode::Require, CertificateCheck::Issuer(file())));
    assert_eq!(
        of(Some("verify-full"), Some("ca.pem")),
        (SslMode::Require, CertificateCheck::HostName(file()))
    );
    assert_eq!(of(Some("verify-full"), None), (SslMode::Require, CertificateCheck::HostName(Roots::System)));
    assert!(parse_ssl_mode(Some("allow"), None).is_err());
    assert!(parse_ssl_mode(Some("require"), Some("system")).is_err());
}
