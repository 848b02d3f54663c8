use super::*;

#[test]
fn both_indexes_stay_consistent() {
    let mut queue = DueQueue::default();
    for step in 0..10_000_i64 {
        queue.insert(step * 17 % 101, step * 31 % 83);
        match step % 13 {
            0 => drop(queue.pop_due(step % 90)),
            5 => drop(queue.remove(step % 83)),
            9 => drop(queue.drop_last()),
            _ => {}
        }
        assert_eq!(queue.by_due.len(), queue.due_by_id.len());
    }
}
