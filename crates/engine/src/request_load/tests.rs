use super::*;

#[test]
fn bodies_beyond_the_budget_are_refused_and_a_dropped_body_frees_its_part() {
    let load = RequestLoad::new(100);
    let mut first = load.body(BodySender::Authenticated);
    assert!(first.add(60) && first.add(40));
    let mut second = load.body(BodySender::Authenticated);
    assert!(!second.add(1));
    drop((first, second));
    assert!(load.body(BodySender::Authenticated).add(100));
}

#[test]
fn unauthenticated_bodies_leave_half_of_the_budget_to_authenticated_ones() {
    let load = RequestLoad::new(100);
    let mut unauthenticated = load.body(BodySender::Unauthenticated);
    assert!(unauthenticated.add(50) && !load.body(BodySender::Unauthenticated).add(1));
    assert!(load.body(BodySender::Authenticated).add(50));
}

#[tokio::test]
async fn a_second_expensive_query_waits_for_the_seat_and_gives_up_in_time() {
    let load = RequestLoad::new(1);
    let seat = load.expensive_query().await.unwrap();
    assert!(load.expensive_query_within(Duration::from_millis(5)).await.is_none());
    drop(seat);
    assert!(load.expensive_query_within(Duration::from_millis(5)).await.is_some());
}
