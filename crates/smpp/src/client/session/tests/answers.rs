//! Tests of late, missing and odd answers.

use super::*;

fn impatient() -> ClientConfig {
    ClientConfig {
        enquire_link_interval: Duration::from_millis(1),
        response_timeout: Duration::from_millis(300),
        ..config()
    }
}

#[tokio::test]
async fn a_late_answer_is_reported() {
    let handler = &RecordingHandler::default();
    let (mut job, outcome) = job(1, 7);
    job.deadline = Instant::now() + Duration::from_millis(1);
    run_with(&config(), handler, |mut smsc, jobs| async move {
        jobs.send(job).ok().unwrap();
        let (_, _, sequence) = smsc.receive().await;
        assert_eq!(outcome.await.unwrap(), SubmitOutcome::ResponseTimeout);
        smsc.send(SUBMIT_RESPONSE, ESME_ROK, sequence, b"late1\0").await;
        smsc.send(command::ENQUIRE_LINK, ESME_ROK, 6, &[]).await;
        smsc.receive().await;
    })
    .await;
    assert_eq!(handler.events(), ["accepted 7 0 late1"]);
}

#[tokio::test]
async fn half_a_pdu_ends_the_session() {
    let handler = RecordingHandler::default();
    let end = run_with(&impatient(), &handler, |mut smsc, jobs| async move {
        // A deliver_sm of 60,000 bytes, of which 100 arrive, and then answers that look like its body.
        smsc.stream.write_all(&60_000_u32.to_be_bytes()).await.unwrap();
        smsc.stream.write_all(&[0; 100]).await.unwrap();
        while smsc.stream.read_buf(&mut smsc.received).await.is_ok_and(|count| count > 0)
            && smsc.stream.write_all(&[0; 16]).await.is_ok()
        {}
        drop(jobs);
    })
    .await;
    let reason = lost_reason(&end);
    assert!(reason.contains("PDU") || reason.contains("enquire_link"), "{reason}");
}

#[tokio::test]
async fn only_its_response_answers_an_enquire_link() {
    let handler = RecordingHandler { immediate_status: Some(ESME_ROK), ..RecordingHandler::default() };
    let impatient = impatient();
    let end = run_with(&impatient, &handler, |mut smsc, jobs| async move {
        assert_eq!(smsc.receive().await.0, command::ENQUIRE_LINK);
        let mut deliver_sm = Vec::new();
        pdu::encode_pdu(&mut deliver_sm, command::DELIVER_SM, ESME_ROK, 5, &[]);
        while smsc.stream.write_all(&deliver_sm).await.is_ok()
            && smsc.stream.read_buf(&mut smsc.received).await.is_ok_and(|count| count > 0)
        {
            smsc.received.clear();
        }
        drop(jobs);
    })
    .await;
    assert_eq!(lost_reason(&end), "no response to enquire_link");
}

#[tokio::test]
async fn a_nack_refuses_the_command_and_not_the_message() {
    let handler = RecordingHandler::default();
    for (status, reported) in [(0x02, 0x02), (0x03, 0x03), (0, ESME_RINVCMDID)] {
        let (job, outcome) = job(1, 7);
        run_with(&config(), &handler, |mut smsc, jobs| async move {
            jobs.send(job).ok().unwrap();
            let (_, _, sequence) = smsc.receive().await;
            smsc.send(command::GENERIC_NACK, status, sequence, &[]).await;
            assert_eq!(outcome.await.unwrap(), SubmitOutcome::CommandRefused { status: reported });
        })
        .await;
    }
}

#[tokio::test]
async fn an_unbind_waits_for_an_open_answer() {
    let handler = RecordingHandler::default();
    let (job, outcome) = job(1, 7);
    let end = run_with(&config(), &handler, |mut smsc, jobs| async move {
        jobs.send(job).ok().unwrap();
        let (_, _, sequence) = smsc.receive().await;
        smsc.send(command::UNBIND, ESME_ROK, 9, &[]).await;
        sleep(Duration::from_millis(50)).await;
        smsc.send(SUBMIT_RESPONSE, ESME_ROK, sequence, b"a\0").await;
        assert_eq!(smsc.receive().await, (pdu::response_id(command::UNBIND), ESME_ROK, 9));
        assert!(matches!(outcome.await.unwrap(), SubmitOutcome::Accepted { .. }));
    })
    .await;
    assert!(matches!(end, SessionEnd::Unbound));
}

#[tokio::test]
async fn a_message_before_the_bind_response_is_answered() {
    let (stream, smsc) = tokio::io::duplex(64 * 1024);
    let mut smsc = Smsc { stream: smsc, received: Vec::new() };
    let (job_sender, mut jobs) = unbounded_channel();
    let handler = RecordingHandler { immediate_status: Some(ESME_ROK), ..RecordingHandler::default() };
    let mut early = Vec::new();
    pdu::encode_pdu(&mut early, command::DELIVER_SM, ESME_ROK, 5, &[]);
    let config = config();
    let session = run_session(&config, &handler, Box::new(stream), early, &mut jobs);
    let smsc_task = async {
        assert_eq!(smsc.receive().await, (pdu::response_id(command::DELIVER_SM), ESME_ROK, 5));
        drop(job_sender);
    };
    tokio::join!(session, smsc_task);
}
