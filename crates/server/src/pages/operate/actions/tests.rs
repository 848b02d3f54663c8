use super::*;

#[test]
fn a_button_names_an_action_and_its_target() {
    assert_eq!(parse_action("resend:selected"), Some((DeliveryAction::Resend, ActionTarget::Selected)));
    assert_eq!(parse_action("cancel:all"), Some((DeliveryAction::Cancel, ActionTarget::All)));
    assert_eq!(parse_action("cancel:64"), Some((DeliveryAction::Cancel, ActionTarget::One(DeliveryId(64)))));
    for word in ["", "resend", "resend:", "drop:all", "cancel:x"] {
        assert_eq!(parse_action(word), None, "{word}");
    }
}

#[test]
fn a_list_of_ids_contains_only_numbers_and_is_limited() {
    assert_eq!(parse_ids("64,128"), Some(vec![DeliveryId(64), DeliveryId(128)]));
    assert_eq!(parse_ids("64,x"), None);
    assert_eq!(parse_ids(&["64"; 1_001].join(",")), None);
}
