use std::collections::BTreeSet;

use utoipa::PartialSchema;

use super::MessageSubmission;

#[test]
fn the_schema_describes_the_fields_that_are_read() {
    let schema = serde_json::to_value(MessageSubmission::schema()).unwrap();
    let schema_fields = schema["properties"].as_object().unwrap().keys().map(String::as_str);
    let read_fields = MessageSubmission::FIELDS.iter().copied();
    assert_eq!(schema_fields.collect::<BTreeSet<_>>(), read_fields.collect::<BTreeSet<_>>());
    assert_eq!(schema["additionalProperties"], false, "other fields are refused");
}
