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
