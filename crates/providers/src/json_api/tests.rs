use super::*;
use crate::testing::conformance;

#[test]
fn the_gateways_id_of_a_delivery_is_the_same_in_every_round() {
    let first = conformance::sample_message();
    let next_round = OutboundMessage { round: 9, ..first.clone() };
    let other =
        OutboundMessage { delivery_id: postrider_core::id::DeliveryId::from_position(7, 2), ..first.clone() };
    assert_eq!(gateway_id(&first), gateway_id(&next_round));
    assert_ne!(gateway_id(&first), gateway_id(&other));
}
