//! One scenario: chooses the next step of each host, injects faults and advances the simulated time.
//!
//! Every choice comes from the seeded random generator, and one task runs at a time.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::id::MessageId;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_engine::accept::{self, AcceptError, AcceptRequest, Accepted, RequestIdempotencyKey};
use postrider_engine::deliver::{self, LeasedDelivery};
use postrider_engine::due;
use postrider_engine::gateway::Gateway;
use postrider_engine::shared_health;
use postrider_engine::{prune, receipts, resend, sync_report};
use postrider_store::{DeliverySelection, SelectableStatus, Store};

use super::context::{SimulatedTask, SimulationContext, StepLog};
use super::faulty_store::StoreFaultMode;
use super::host::{CLAIM_LEASE, HOLDING_CHANNEL, PROVIDERS, RESENDING_CHANNEL, SimulatedHost};
use super::unreliable_queue::UnreliableQueue;

/// Maximum number of running hosts.
const HOSTS_MAX: usize = 5;
/// Maximum number of concurrent tasks per host.
const TASKS_PER_HOST_MAX: usize = 8;

/// Interval of the scheduled jobs on every host.
const JOB_INTERVAL: Duration = Duration::from_secs(4);

/// Simulated time per step without faults.
const SETTLE_STEP: Duration = Duration::from_secs(301);
/// Maximum number of steps without faults; together they are longer than the maximum age of a delivery.
const SETTLE_STEPS_MAX: usize = 1_000;

/// The result of a task.
enum TaskResult {
    Finished,
    Claimed(Vec<LeasedDelivery>),
    AcceptAnswered(usize, Result<Accepted, AcceptError>),
}

/// A task of a host, suspended at a yield point.
struct RunningTask {
    host: usize,
    name: &'static str,
    suspended_until_ms: i64,
    task: SimulatedTask<TaskResult>,
}

/// A running scenario.
pub struct FaultScenario {
    pub context: Arc<SimulationContext>,
    pub store: Arc<dyn Store>,
    queue: Arc<UnreliableQueue>,
    hosts: Vec<SimulatedHost>,
    hosts_started: usize,
    tasks: Vec<RunningTask>,
    messages_max: usize,
    messages_submitted: usize,
    /// Requests without a 2xx answer, to be submitted again.
    unanswered_requests: Vec<usize>,
    _folder: tempfile::TempDir,
}

impl FaultScenario {
    pub async fn new(seed: u64, log: &Arc<StepLog>) -> Self {
        // In memory where possible: this test does not simulate power loss.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let url = format!("sqlite:{}", folder.path().join("scenario.db").display());
        let context = SimulationContext::new(seed, Arc::clone(log));
        let mut scenario = Self {
            store: postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap(),
            queue: Arc::new(UnreliableQueue::new(&context)),
            hosts: Vec::new(),
            hosts_started: 0,
            tasks: Vec::new(),
            messages_max: usize::try_from(context.random_between(20, 50)).unwrap(),
            messages_submitted: 0,
            unanswered_requests: Vec::new(),
            context,
            _folder: folder,
        };
        for _ in 0..scenario.context.random_between(2, 4) {
            scenario.start_host().await;
        }
        scenario
    }

    /// Runs one step; returns false when all messages were submitted.
    pub async fn step(&mut self) -> bool {
        let by = self.context.random_between(0, 3_500).unsigned_abs();
        self.advance_time(Duration::from_millis(by));
        let draw = self.context.fraction();
        match draw {
            draw if draw < 0.008 => self.inject_fault().await,
            draw if draw < 0.30 => self.start_random_task(),
            _ => {}
        }
        self.run_one_task().await;
        self.messages_submitted < self.messages_max
    }

    /// Stops all faults and runs until no delivery is waiting; returns false when one never ends.
    pub async fn settle(&mut self) -> bool {
        self.context.model().is_fault_free = true;
        for running in &mut self.tasks {
            running.suspended_until_ms = 0;
        }
        if self.hosts.is_empty() {
            self.start_host().await;
        }
        for _ in 0..SETTLE_STEPS_MAX {
            while !self.tasks.is_empty() {
                self.run_one_task().await;
            }
            let waiting = self.store.backlog(self.context.now()).await.unwrap().waiting;
            if waiting == 0 && self.unanswered_requests.is_empty() {
                self.close_lost_rounds().await;
                return true;
            }
            self.advance_time(SETTLE_STEP);
            for host in 0..self.hosts.len() {
                self.start_claim(host);
            }
            self.resubmit_unanswered();
        }
        false
    }

    /// Names the copies of workers that crashed, when their leases have expired on every clock.
    async fn close_lost_rounds(&mut self) {
        self.advance_time(10 * CLAIM_LEASE);
        self.spawn_task(0, "resend", |gateway| async move {
            resend::enqueue_due(&gateway).await.unwrap();
            TaskResult::Finished
        });
        while !self.tasks.is_empty() {
            self.run_one_task().await;
        }
    }

    fn advance_time(&self, by: Duration) {
        self.context.advance(by);
        for host in &self.hosts {
            host.set_clock(&self.context);
        }
    }

    async fn start_host(&mut self) {
        let number = self.hosts_started;
        self.hosts_started += 1;
        let host = SimulatedHost::start(&self.context, &self.store, &self.queue, number).await;
        self.context.log_step(|| format!("host {number} starts, clock skew {} ms", host.clock_skew_ms));
        self.hosts.push(host);
    }

    /// Injects a random fault: a host crashes or starts, a clock changes, a connection to the store fails or recovers,
    /// the queue is flushed, or a task is suspended, possibly for longer than a lease.
    async fn inject_fault(&mut self) {
        let index = self.context.random_index(self.hosts.len());
        match (self.context.random_between(0, 9), index) {
            (0, Some(index)) => {
                let host = self.hosts.swap_remove(index);
                self.tasks.retain(|running| running.host != host.number);
                self.context.log_step(|| format!("host {} crashes", host.number));
            }
            (1 | 2, _) if self.hosts.len() < HOSTS_MAX => self.start_host().await,
            (3, Some(index)) => {
                self.hosts[index].clock_skew_ms = self.context.random_clock_skew();
                self.hosts[index].set_clock(&self.context);
            }
            (4, Some(index)) => self.hosts[index].store.set_fault_mode(StoreFaultMode::Disconnected),
            (5, Some(index)) => self.hosts[index].store.set_fault_mode(StoreFaultMode::Lossy),
            (6 | 7, Some(index)) => self.hosts[index].store.set_fault_mode(StoreFaultMode::Reliable),
            (8, _) => self.queue.clear(),
            _ => {
                if let Some(index) = self.context.random_index(self.tasks.len()) {
                    let pause_ms = self.context.random_between(30_000, 1_500_000);
                    self.tasks[index].suspended_until_ms = self.context.time_ms() + pause_ms;
                    let (host, name) = (self.tasks[index].host, self.tasks[index].name);
                    self.context.log_step(|| format!("host {host}: {name} suspended for {pause_ms} ms"));
                }
            }
        }
    }

    /// Runs one runnable task to its next yield point.
    async fn run_one_task(&mut self) {
        let now = self.context.time_ms();
        let runnable: Vec<usize> =
            (0..self.tasks.len()).filter(|index| self.tasks[*index].suspended_until_ms <= now).collect();
        let Some(index) = self.context.random_index(runnable.len()).map(|index| runnable[index]) else {
            return;
        };
        let running = &mut self.tasks[index];
        let result = self.context.scheduler.run_until_yield(&mut running.task).await;
        let (host, name) = (running.host, running.name);
        let Some(result) = result else { return };
        self.context.log_step(|| format!("host {host}: {name} finished"));
        self.tasks.swap_remove(index);
        match result {
            TaskResult::Finished => {}
            TaskResult::Claimed(claimed) => {
                for delivery in claimed {
                    let index = self.hosts.iter().position(|other| other.number == host);
                    self.spawn_task(index.unwrap(), "round", |gateway| async move {
                        deliver::run_round(&gateway, delivery).await;
                        TaskResult::Finished
                    });
                }
            }
            TaskResult::AcceptAnswered(number, result) => self.note_acceptance(number, result),
        }
    }

    fn spawn_task<F: Future<Output = TaskResult> + Send + 'static>(
        &mut self,
        host: usize,
        name: &'static str,
        task: impl FnOnce(Arc<Gateway>) -> F,
    ) {
        let host = &self.hosts[host];
        self.tasks.push(RunningTask {
            host: host.number,
            name,
            suspended_until_ms: 0,
            task: Box::pin(task(Arc::clone(&host.gateway))),
        });
    }

    /// Starts a random task on a random host.
    fn start_random_task(&mut self) {
        let Some(host) = self.context.random_index(self.hosts.len()) else {
            return;
        };
        let number = self.hosts[host].number;
        if self.tasks.iter().filter(|running| running.host == number).count() >= TASKS_PER_HOST_MAX {
            return;
        }
        match self.context.fraction() {
            draw if draw < 0.42 => self.start_claim(host),
            draw if draw < 0.62 => self.submit_message(host),
            draw if draw < 0.80 => self.deliver_receipts(host),
            draw if draw < 0.84 => self.cancel_message(host),
            draw if draw < 0.87 => self.requeue_failed(host),
            draw if draw < 0.93 => self.spawn_task(host, "sync_health", |gateway| async move {
                let _ = shared_health::sync_health(&gateway).await;
                TaskResult::Finished
            }),
            draw if draw < 0.96 => self.spawn_task(host, "resend", |gateway| async move {
                let _ = resend::enqueue_if_due(&gateway, JOB_INTERVAL).await;
                TaskResult::Finished
            }),
            draw if draw < 0.99 => self.spawn_task(host, "sync", |gateway| async move {
                let _ = sync_report::sync_if_due(&gateway, JOB_INTERVAL).await;
                TaskResult::Finished
            }),
            _ => self.spawn_task(host, "prune", |gateway| async move {
                let age = prune::PruneOptions { older_than: Duration::from_secs(120), is_by_month: false };
                let _ = prune::prune(&gateway, age, |_| {}).await;
                TaskResult::Finished
            }),
        }
    }

    /// Starts a task that claims due deliveries.
    fn start_claim(&mut self, host: usize) {
        let slots = usize::try_from(self.context.random_between(1, 4)).unwrap();
        self.spawn_task(host, "claim", move |gateway| async move {
            let found = due::find_due(&gateway, &slots, Duration::ZERO).await;
            TaskResult::Claimed(deliver::claim(&gateway, found.ids).await)
        });
    }

    /// Submits a new message, or one again that got no 2xx.
    fn submit_message(&mut self, host: usize) {
        let resubmitted = self.context.chance(0.5).then(|| self.unanswered_requests.pop()).flatten();
        let number = resubmitted.unwrap_or(self.messages_submitted);
        self.messages_submitted = self.messages_submitted.max(number + 1);
        self.submit_request(host, number);
    }

    fn resubmit_unanswered(&mut self) {
        while let Some(number) = self.unanswered_requests.pop() {
            self.submit_request(0, number);
        }
    }

    fn submit_request(&mut self, host: usize, number: usize) {
        let request = request_number(number);
        self.spawn_task(host, "accept", move |gateway| async move {
            TaskResult::AcceptAnswered(number, accept::accept(&gateway, request).await)
        });
    }

    fn note_acceptance(&mut self, number: usize, result: Result<Accepted, AcceptError>) {
        match result {
            Ok(accepted) => {
                let body = request_number(number).body;
                self.context.model().accepted_bodies.insert(accepted.id, body);
            }
            Err(AcceptError::Suppressed(_)) => {}
            Err(AcceptError::Store(_)) => self.unanswered_requests.push(number),
            Err(other) => panic!("message {number} was rejected: {other:?}"),
        }
    }

    /// Applies random receipts: early, late, repeated, from the wrong provider, or with an unknown reference.
    fn deliver_receipts(&mut self, host: usize) {
        let mut receipts = Vec::new();
        let mut provider = self.context.random_index(PROVIDERS.len()).map(|index| PROVIDERS[index]);
        for _ in 0..self.context.random_between(1, 3) {
            let references = self.context.model().receipt_references.clone();
            let reference = match self.context.random_index(references.len()) {
                Some(index) if self.context.chance(0.95) => {
                    provider = Some(references[index].0);
                    references[index].1.clone()
                }
                _ => "unknown".to_owned(),
            };
            let reason = "simulated".to_owned();
            let status = match self.context.fraction() {
                draw if draw < 0.55 => ReceiptStatus::Delivered,
                draw if draw < 0.78 => ReceiptStatus::Bounced { reason },
                draw if draw < 0.80 => ReceiptStatus::Invalid { reason },
                _ => ReceiptStatus::Opened,
            };
            let at = self.hosts[host].gateway.clock.now();
            receipts.push(Receipt { reference, status, at });
        }
        let Some(provider) = provider.map(|name| name.parse().unwrap()) else {
            return;
        };
        self.spawn_task(host, "receipts", move |gateway| async move {
            let _ = receipts::apply_receipts(&gateway, &provider, receipts).await;
            TaskResult::Finished
        });
    }

    fn cancel_message(&mut self, host: usize) {
        let accepted: Vec<MessageId> = self.context.model().accepted_bodies.keys().copied().collect();
        let Some(id) = self.context.random_index(accepted.len()).map(|index| accepted[index]) else {
            return;
        };
        self.spawn_task(host, "cancel", move |gateway| async move {
            let _ = gateway.store.cancel_message(id, gateway.clock.now()).await;
            TaskResult::Finished
        });
    }

    fn requeue_failed(&mut self, host: usize) {
        let selection = DeliverySelection {
            now: self.context.now(),
            status: if self.context.chance(0.7) {
                SelectableStatus::Failed
            } else {
                SelectableStatus::Waiting
            },
            provider: None,
            since: None,
            limit: 2,
        };
        self.spawn_task(host, "requeue", move |gateway| async move {
            let expires_at = gateway.clock.now() + Duration::from_secs(3_600);
            if let Ok(ids) = gateway.store.select_deliveries(selection).await {
                let _ = resend::requeue(&gateway, &ids, expires_at, |_| {}).await;
            }
            TaskResult::Finished
        });
    }
}

/// Returns the request with this number, always the same. Every second one has an idempotency key.
fn request_number(number: usize) -> AcceptRequest {
    let channel = if number.is_multiple_of(3) { HOLDING_CHANNEL } else { RESENDING_CHANNEL };
    let body = format!("message {number}");
    let key = number.is_multiple_of(2).then(|| RequestIdempotencyKey {
        scope: "scenario".to_owned(),
        key: body.clone(),
        fingerprint: body.clone(),
    });
    AcceptRequest {
        addresses: vec![(channel.to_owned(), format!("0912{:07}", number % 17))],
        body,
        idempotency_key: key,
        ..AcceptRequest::default()
    }
}
