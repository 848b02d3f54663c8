use super::*;

#[test]
fn a_position_is_used_while_it_is_fresh_and_the_primary_was_asked_recently() {
    let zero = Instant::now();
    let at = |seconds| zero + Duration::from_secs(seconds);
    let mut state = ReplicaState::default();
    assert_eq!(state.required_position(zero), None, "no position of the primary is known");
    for (seconds, position) in [(0, 100), (3, 130), (6, 160), (9, 190)] {
        state.primary_positions.push_back((at(seconds), position));
    }
    assert_eq!(state.required_position(at(10)), Some(100), "exactly the maximum age");
    assert_eq!(state.required_position(at(11)), Some(130), "the first position is too old");
    assert_eq!(state.required_position(at(12)), None, "the primary has to be asked again");
    assert_eq!(state.primary_positions.len(), 3);
}
