use super::*;

fn secrets(settings: &str) -> Vec<String> {
    let mut secrets = BTreeSet::new();
    collect_secrets(&settings.parse().unwrap(), &mut secrets);
    secrets.into_iter().collect()
}

#[test]
fn secrets_are_collected_from_every_kind_of_value() {
    for (settings, expected) in [
        ("api_key = \"abc\"", vec!["abc"]),
        ("host = \"a\"", vec![]),
        ("url = \"https://u:pw@h/?token=t1&x=2\"", vec!["pw", "t1"]),
        ("[headers]\nauthorization = \"Bearer abcdefghi\"", vec!["Bearer abcdefghi", "abcdefghi"]),
        ("pin_token = 1234", vec!["1234"]),
        ("socket = \"unix:/r.sock?db=1&pass=pw\"", vec!["pw"]),
    ] {
        assert_eq!(secrets(settings), expected, "{settings}");
    }
}
