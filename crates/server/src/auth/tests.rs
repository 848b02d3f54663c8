use super::*;

fn keys() -> Vec<Arc<ApiKey>> {
    let key = |name: &str, secret: &str, scopes: &[Scope]| {
        Arc::new(ApiKey {
            name: name.to_owned(),
            sha256: Some(Sha256::digest(secret).into()),
            scopes: scopes.to_vec(),
            user_per_hour: None,
            limits: Default::default(),
            is_shared: false,
            account: Default::default(),
            events: Default::default(),
        })
    };
    vec![key("shop", "sesame", &[Scope::Send]), key("admin", "open:all", &[Scope::Admin])]
}

fn key_name_for(header: &'static str, value: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(header, value.parse().unwrap());
    let presented = presented_key(&headers)?;
    find_matching_key(&keys(), &presented.secret).map(|key| key.name.clone())
}

#[test]
fn a_key_is_read_from_every_supported_header() {
    for (header, value, name) in [
        ("authorization", "Bearer sesame", Some("shop")),
        ("authorization", "bearer  sesame", Some("shop")),
        ("x-api-key", "sesame", Some("shop")),
        ("authorization", "Basic YW55Ym9keTpzZXNhbWU=", Some("shop")),
        ("authorization", "Basic Om9wZW46YWxs", Some("admin")),
        ("authorization", "Basic !!!", None),
        ("authorization", "Digest sesame", None),
        ("authorization", "Bearer sesame2", None),
        ("x-api-key", "", None),
    ] {
        assert_eq!(key_name_for(header, value).as_deref(), name, "{header}: {value}");
    }
}
