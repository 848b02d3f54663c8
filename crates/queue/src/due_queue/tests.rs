use super::*;

#[test]
fn both_indexes_stay_of_one_mind_whatever_is_put_and_taken() {
    let mut lane = DueQueue::default();
    for step in 0..10_000_i64 {
        lane.insert(step * 17 % 101, step * 31 % 83);
        match step % 13 {
            0 => drop(lane.pop_due(step % 90)),
            5 => drop(lane.remove(step % 83)),
            9 => drop(lane.drop_last()),
            _ => {}
        }
        assert_eq!(lane.by_due.len(), lane.due_by_id.len());
    }
}
