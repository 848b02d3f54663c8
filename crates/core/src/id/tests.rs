use chrono::TimeDelta;

use super::*;

#[test]
fn message_ids_grow_with_time_and_convert_to_text_and_bytes() {
    let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let at = |millis| MessageId::new(start + TimeDelta::milliseconds(millis), [7; 10]);
    assert!(at(0) < at(1) && at(1) < at(1_000));
    assert_eq!(at(5).to_string().parse(), Ok(at(5)));
    assert_eq!(MessageId::from_bytes(at(5).bytes()), at(5));
    assert_ne!(MessageId::new(start, [1; 10]), MessageId::new(start, [2; 10]));
    assert_eq!("not an id".parse::<MessageId>(), Err(InvalidMessageId));
}

#[test]
fn ids_of_the_deliveries_of_a_message_are_adjacent() {
    assert_eq!(DeliveryId::from_position(3, 0), DeliveryId(192));
    assert_eq!(DeliveryId::from_position(3, 63), DeliveryId(255));
    assert_eq!(DeliveryId::from_position(3, 63).message_number(), 3);
    assert_eq!(DeliveryId::from_position(4, 0).message_number(), 4);
    assert!(DeliveryId::from_position(4, 0).is_first() && !DeliveryId::from_position(4, 1).is_first());
}
