use super::super::mask::mask_table;
use super::*;

fn secrets(written: &str, resolved: &str) -> Vec<String> {
    collect_secrets(&resolved.parse().unwrap(), &mask_table(&written.parse().unwrap()))
}

#[test]
fn secrets_are_collected_from_every_kind_of_value() {
    for (written, resolved, expected) in [
        ("api_key = \"abc\"", "api_key = \"abc\"", vec!["abc"]),
        ("host = \"a\"", "host = \"a\"", vec![]),
        ("a = \"${env:A}\"", "a = \"x1\"", vec!["x1"]),
        ("a = \"x/${env:A}/y${env:B}\"", "a = \"x/12/y34\"", vec!["12", "34"]),
        (
            "url = \"https://u:pw@h/?token=t1&x=2\"",
            "url = \"https://u:pw@h/?token=t1&x=2\"",
            vec!["pw", "t1"],
        ),
        (
            "[headers]\nauthorization = \"Bearer abcdefghi\"",
            "[headers]\nauthorization = \"Bearer abcdefghi\"",
            vec!["abcdefghi", "Bearer abcdefghi"],
        ),
        ("pin_token = 1234", "pin_token = 1234", vec!["1234"]),
    ] {
        assert_eq!(secrets(written, resolved), expected, "{written}");
    }
}
