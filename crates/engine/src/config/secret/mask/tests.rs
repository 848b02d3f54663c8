use super::*;

#[test]
fn passwords_in_urls_are_masked() {
    for (url, masked) in [
        ("memory:", "memory:"),
        ("sqlite:/var/lib/a@b.db", "sqlite:/var/lib/a@b.db"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:hunter2@localhost/0", "redis://:***@localhost/0"),
        ("redis://anna:hunter2@localhost/0", "redis://anna:***@localhost/0"),
        ("https://hunter2@host/x", "https://:***@host/x"),
        ("postgres://anna:hun/t?e#r2@host/x", "postgres://anna:***@host/x"),
        ("postgres://host/x?user=a%40b", "postgres://host/x?user=a%40b"),
        ("https://a:hun@ter2@host/x?a=b", "https://a:***@host/x?a=b"),
        ("http://host/send?api_key=hunter2&to={to}", "http://host/send?api_key=***&to={to}"),
        ("http://host/send?api_key=${env:RED}", "http://host/send?api_key=${env:RED}"),
        ("redis+unix:///r.sock?pass=hunter2", "redis+unix:///r.sock?pass=***"),
        ("unix:/r.sock?db=1&pass=hunter2", "unix:/r.sock?db=1&pass=***"),
    ] {
        assert_eq!(mask_url(url), masked);
    }
}

#[test]
fn values_under_secret_names_are_masked_at_any_depth() {
    let table = "token = \"hunter2\"\npassword = 1234\nurl = \"http://host\"\n\
                 [headers]\nAuthorization = \"Bearer hunter2\"\nAccept = \"*/*\"\n[auth]\nuser = \"hunter2\"\n\
                 [place]\ntoken = \"${env:T}\"\nmixed_token = \"hunter2${env:T}\"";
    let masked = mask_table(&table.parse().unwrap()).to_string();
    assert!(!masked.contains("hunter2") && !masked.contains("1234"), "{masked}");
    assert!(masked.contains("http://host") && masked.contains("*/*") && masked.contains("\"${env:T}\""));
}

#[test]
fn a_token_in_a_path_and_a_literal_header_are_secrets() {
    let settings = "url = \"https://api.example.org/v1/a1b2c3d4e5f6g7/sms/send?x=1\"\n\
                    [headers]\nx-account = \"hunter2\"\naccept = \"text/plain\"\nx-to = \"{to}\"";
    let mut secrets = BTreeSet::new();
    collect_literal_secrets(&settings.parse().unwrap(), &mut secrets);
    assert_eq!(Vec::from_iter(secrets), ["a1b2c3d4e5f6g7", "hunter2"]);
}
