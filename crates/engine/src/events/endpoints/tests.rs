use super::*;
use postrider_core::clock::from_millis;

fn at(seconds: i64) -> Timestamp {
    from_millis(seconds * 1_000)
}

fn endpoint_names(names: &[&str]) -> std::vec::IntoIter<String> {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().into_iter()
}

#[test]
fn no_endpoint_exceeds_its_slots_and_a_new_endpoint_finds_some() {
    let mut table = EndpointTable::new(4, 8);
    assert_eq!(table.capacities(endpoint_names(&["a"]), at(0)), [("a".to_owned(), 4)]);
    for _ in 0..4 {
        table.begin_attempt("a");
    }
    assert_eq!(table.capacities(endpoint_names(&["a"]), at(0)), []);
    table.finish_attempt("a", EndpointResult::Success, at(0));
    let capacities = table.capacities(endpoint_names(&["a", "b", "c"]), at(0));
    assert_eq!(capacities, [("a".to_owned(), 1), ("b".to_owned(), 1), ("c".to_owned(), 1)]);
}

#[test]
fn a_failing_endpoint_is_backed_off_longer_each_time_and_then_gets_one_call() {
    let mut table = EndpointTable::new(4, 8);
    let mut now = at(0);
    let mut backoffs = Vec::new();
    for _ in 0..12 {
        table.begin_attempt("a");
        table.finish_attempt("a", EndpointResult::Failure(None), now);
        let since = now;
        while table.capacities(endpoint_names(&["a"]), now).is_empty() {
            now += Duration::from_secs(1);
        }
        backoffs.push((now - since).num_seconds());
    }
    assert_eq!(backoffs, [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    assert_eq!(table.capacities(endpoint_names(&["a"]), now), [("a".to_owned(), 1)]);
    table.begin_attempt("a");
    assert!(table.finish_attempt("a", EndpointResult::Success, now));
    assert_eq!(table.capacities(endpoint_names(&["a"]), now), [("a".to_owned(), 4)]);
    assert!(table.endpoints.is_empty());
}

#[test]
fn a_retry_after_of_an_endpoint_is_respected() {
    let mut table = EndpointTable::new(4, 8);
    table.begin_attempt("a");
    table.finish_attempt("a", EndpointResult::Failure(Some(Duration::from_secs(7))), at(0));
    assert_eq!(table.capacities(endpoint_names(&["a"]), at(6)), []);
    assert_eq!(table.capacities(endpoint_names(&["a"]), at(7)).len(), 1);
}
