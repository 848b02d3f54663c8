use super::*;
use crate::testing::{entry, entry_on, test_time};

fn popped_ids(queues: &mut ChannelQueues) -> Vec<i64> {
    let ids = queues.pop_due(&Capacity::total(100), i64::MAX);
    ids.iter().map(|id| id.0).collect()
}

#[test]
fn a_full_window_drops_the_last_normal_entry() {
    let mut queues = ChannelQueues::new(3);
    for (id, due) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
        queues.push(&entry(id, test_time(due), Priority::Normal));
    }
    assert!(queues.push(&entry(5, test_time(15), Priority::Normal)), "an earlier entry replaces the last");
    assert!(queues.push(&entry(6, test_time(99), Priority::High)), "a high entry replaces a normal one");
    assert!(!queues.push(&entry(7, test_time(98), Priority::Normal)));
    assert_eq!(popped_ids(&mut queues), [6, 1, 5]);
}

#[test]
fn a_full_window_of_high_entries_drops_the_last_one() {
    let mut queues = ChannelQueues::new(2);
    for (id, due) in [(1, 10), (2, 30), (3, 20), (4, 40)] {
        queues.push(&entry(id, test_time(due), Priority::High));
    }
    assert!(!queues.push(&entry(5, test_time(1), Priority::Normal)));
    assert_eq!(popped_ids(&mut queues), [1, 3]);
}

#[test]
fn the_number_of_entries_stays_correct() {
    let mut queues = ChannelQueues::new(50);
    for step in 0..10_000_i64 {
        let priority = if step % 7 == 0 { Priority::High } else { Priority::Normal };
        let (id, due) = (step * 31 % 83, test_time(step * 17 % 101));
        let channel = if id % 3 == 0 { "a" } else { "b" };
        queues.push(&entry_on(channel, id, due, priority));
        if step % 13 == 0 {
            queues.pop_due(&Capacity::total(5), test_time(step % 90).timestamp_millis());
        }
        assert!(queues.len() <= 50);
        assert_eq!(queues.len(), queues.queues.iter().map(ChannelQueue::len).sum::<usize>());
    }
}
