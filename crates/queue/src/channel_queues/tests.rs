use super::*;
use crate::testing::{entry, entry_on, test_time};

fn popped_ids(lanes: &mut ChannelQueues) -> Vec<i64> {
    let taken = lanes.pop_due(&Capacity::total(100), i64::MAX);
    taken.iter().map(|id| id.0).collect()
}

#[test]
fn the_latest_normal_one_gives_way_when_the_window_is_full() {
    let mut lanes = ChannelQueues::new(3);
    for (id, due) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
        lanes.push(&entry(id, test_time(due), Priority::Normal));
    }
    assert!(
        lanes.push(&entry(5, test_time(15), Priority::Normal)),
        "an earlier one displaces"
    );
    assert!(
        lanes.push(&entry(6, test_time(99), Priority::High)),
        "a high one displaces"
    );
    assert!(!lanes.push(&entry(7, test_time(98), Priority::Normal)));
    assert_eq!(popped_ids(&mut lanes), [6, 1, 5]);
}

#[test]
fn among_high_ones_the_latest_gives_way() {
    let mut lanes = ChannelQueues::new(2);
    for (id, due) in [(1, 10), (2, 30), (3, 20), (4, 40)] {
        lanes.push(&entry(id, test_time(due), Priority::High));
    }
    assert!(!lanes.push(&entry(5, test_time(1), Priority::Normal)));
    assert_eq!(popped_ids(&mut lanes), [1, 3]);
}

#[test]
fn the_count_stays_right_whatever_is_pushed_and_taken() {
    let mut lanes = ChannelQueues::new(50);
    for step in 0..10_000_i64 {
        let priority = if step % 7 == 0 {
            Priority::High
        } else {
            Priority::Normal
        };
        let (id, due) = (step * 31 % 83, test_time(step * 17 % 101));
        let channel = if id % 3 == 0 { "a" } else { "b" };
        lanes.push(&entry_on(channel, id, due, priority));
        if step % 13 == 0 {
            lanes.pop_due(&Capacity::total(5), test_time(step % 90).timestamp_millis());
        }
        assert!(lanes.len() <= 50);
        assert_eq!(
            lanes.len(),
            lanes.queues.iter().map(ChannelQueue::len).sum::<usize>()
        );
    }
}
