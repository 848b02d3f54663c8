use super::*;

fn backlog(waiting: u64, due: u64) -> Backlog {
    Backlog { waiting, due, ..Backlog::default() }
}

#[test]
fn the_result_shows_requeued_due_and_not_due_deliveries() {
    for (count, backlog, text) in [
        (0, backlog(0, 0), "nothing to requeue: no delivery is due"),
        (0, backlog(1, 0), "nothing to requeue: no delivery is due; 1 not due yet"),
        (1, backlog(1, 1), "requeued 1 delivery"),
        (12, backlog(15, 12), "requeued 12 deliveries; 3 not due yet"),
        (5, backlog(15, 12), "requeued 5 deliveries; 7 more due; 3 not due yet"),
    ] {
        assert_eq!(format_resend_result("requeued", count, backlog), text);
    }
}

#[test]
fn the_result_names_what_was_left_alone_and_why() {
    assert_eq!(LeftDeliveries::default().to_string(), "");
    let left = LeftDeliveries { due: 1_470, scheduled: 3, refused: 2 };
    assert_eq!(
        left.to_string(),
        "; 1470 due already; skipped 2 that are leased by a worker, finished or at_most_once; 3 scheduled by send_at \
         stay so (--scheduled includes them)"
    );
}
