use std::collections::BTreeSet;

use utoipa::PartialSchema;

use super::reader::FIELDS;
use crate::request_bodies::MessageSubmission;

#[test]
fn the_schema_describes_the_fields_that_are_read() {
    let schema = serde_json::to_value(MessageSubmission::schema()).unwrap();
    let described = schema["properties"].as_object().unwrap().keys().map(String::as_str);
    assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(FIELDS));
    assert_eq!(schema["additionalProperties"], false, "others are refused");
}
