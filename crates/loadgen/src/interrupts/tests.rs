use super::*;

#[tokio::test]
async fn the_first_interrupt_is_visible_and_the_second_aborts() {
    let (sender, receiver) = watch::channel(0);
    let interrupts = Interrupts::new(receiver);
    assert!(!interrupts.is_requested());
    sender.send_replace(1);
    interrupts.wait_for_first().await;
    assert!(interrupts.is_requested());
    let finished = interrupts.abort_at_second(async { Ok(7) }, "nothing is lost").await;
    assert_eq!(finished.unwrap(), 7);
    sender.send_replace(2);
    let pending = std::future::pending::<Result<()>>();
    let aborted = interrupts.abort_at_second(pending, "nothing is lost").await;
    assert_eq!(aborted.unwrap_err().to_string(), "aborted by the second signal; nothing is lost");
}

#[tokio::test]
async fn work_continues_when_the_sender_of_interrupts_is_gone() {
    let (_, receiver) = watch::channel(0);
    let interrupts = Interrupts::new(receiver);
    let work = async {
        tokio::task::yield_now().await;
        Ok(7)
    };
    assert_eq!(interrupts.abort_at_second(work, "").await.unwrap(), 7);
}
