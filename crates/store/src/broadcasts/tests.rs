//! Planning of registrations, and ranges of message numbers.

use super::*;
use postrider_core::clock::from_millis;
use postrider_core::recipient::RecipientStatus;

fn new(id: &str, name: Option<&str>) -> NewUser {
    NewUser {
        id: id.to_owned(),
        owner: String::new(),
        name: name.map(str::to_owned),
        contacts: None,
        created_at: from_millis(1),
    }
}

#[test]
fn a_user_twice_in_one_batch_is_added_once() {
    let requested_users = [new("a", None), new("b", Some("Bo")), new("a", Some("An")), new("a", None)];
    let first_plan = plan_registration(Vec::new(), 7, &requested_users);
    let added_users = first_plan.new_users.iter().map(|user| (user.number, user.name.as_deref()));
    assert_eq!(added_users.collect::<Vec<_>>(), [(8, Some("An")), (9, Some("Bo"))]);
    use UserRegistration::{Added, Changed, Unchanged};
    assert_eq!(first_plan.results, [Added, Added, Changed, Unchanged]);
    assert_eq!(first_plan.changed_users, []);
    let second_plan = plan_registration(first_plan.new_users.clone(), 9, &requested_users);
    assert_eq!((second_plan.new_users, second_plan.changed_users), (vec![], vec![]));
    assert_eq!(second_plan.results, [Unchanged; 4]);
}

#[test]
fn numbers_without_a_gap_are_one_range() {
    let stored = |number| Acceptance::Stored { number };
    let accepted =
        [stored(4), stored(5), Acceptance::Suppressed(RecipientStatus::OptedOut), stored(6), stored(9)];
    assert_eq!(number_ranges(&accepted), (vec![(4, 6), (9, 9)], 1));
    assert_eq!(number_ranges(&[]), (vec![], 0));
}
