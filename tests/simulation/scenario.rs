//! The storm itself: which host does what next, who dies, who sleeps, whose way to the store is cut, how time goes on.
//!
//! Everything is chosen by the world's luck, and only one thing happens at a time.

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
use super::host::{HOLDING_CHANNEL, PROVIDERS, RESENDING_CHANNEL, SimulatedHost};
use super::unreliable_queue::UnreliableQueue;

/// The most hosts at once, and the most that one does at once.
const HOSTS_MAX: usize = 5;
const TASKS_PER_HOST_MAX: usize = 8;

/// How often every host does what needs only one.
const JOB_INTERVAL: Duration = Duration::from_secs(4);

/// How long a round of the calm lasts, and how many there are at most: longer than the oldest delivery may grow.
const SETTLE_STEP: Duration = Duration::from_secs(301);
const SETTLE_STEPS_MAX: usize = 1_000;

/// What a task came to.
enum TaskResult {
    Finished,
    Claimed(Vec<LeasedDelivery>),
    AcceptAnswered(usize, Result<Accepted, AcceptError>),
}

/// A task of a host, on its way from gate to gate.
struct RunningTask {
    host: usize,
    name: &'static str,
    asleep_until_ms: i64,
    task: SimulatedTask<TaskResult>,
}

/// A storm under way.
pub struct FaultScenario {
    pub context: Arc<SimulationContext>,
    pub store: Arc<dyn Store>,
    queue: Arc<UnreliableQueue>,
    hosts: Vec<SimulatedHost>,
    hosts_started: usize,
    tasks: Vec<RunningTask>,
    messages_max: usize,
    messages_submitted: usize,
    /// Requests that were not answered with a 2xx and are made again.
    unanswered_requests: Vec<usize>,
    _folder: tempfile::TempDir,
}

impl FaultScenario {
    pub async fn new(seed: u64, journal: &Arc<StepLog>) -> Self {
        // A memory-backed folder where there is one: nobody pulls the plug here.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.unwrap();
        let url = format!("sqlite:{}", folder.path().join("storm.db").display());
        let world = SimulationContext::new(seed, Arc::clone(journal));
        let mut storm = Self {
            store: postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap(),
            queue: Arc::new(UnreliableQueue::new(&world)),
            hosts: Vec::new(),
            hosts_started: 0,
            tasks: Vec::new(),
            messages_max: usize::try_from(world.random_between(20, 50)).unwrap(),
            messages_submitted: 0,
            unanswered_requests: Vec::new(),
            context: world,
            _folder: folder,
        };
        for _ in 0..storm.context.random_between(2, 4) {
            storm.start_host().await;
        }
        storm
    }

    /// One step of the storm; false when there is nothing more to send.
    pub async fn step(&mut self) -> bool {
        let by = self.context.random_between(0, 3_500).unsigned_abs();
        self.advance_time(Duration::from_millis(by));
        let luck = self.context.fraction();
        match luck {
            luck if luck < 0.008 => self.inject_fault().await,
            luck if luck < 0.30 => self.start_random_task(),
            _ => {}
        }
        self.run_one_task().await;
        self.messages_submitted < self.messages_max
    }

    /// From now on everybody behaves: runs on until nothing waits; false when something waits for ever.
    pub async fn settle(&mut self) -> bool {
        self.context.model().is_fault_free = true;
        for running in &mut self.tasks {
            running.asleep_until_ms = 0;
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
        self.context
            .log_step(|| format!("host {number} starts, {} ms off", host.clock_skew_ms));
        self.hosts.push(host);
    }

    /// Something goes wrong: a host dies or starts, a clock is put elsewhere, a way to the store is cut or mended,
    /// the queue is flushed, a task falls asleep for longer than a lease.
    async fn inject_fault(&mut self) {
        let any = self.context.random_index(self.hosts.len());
        match (self.context.random_between(0, 9), any) {
            (0, Some(any)) => {
                let host = self.hosts.swap_remove(any);
                self.tasks.retain(|running| running.host != host.number);
                self.context.log_step(|| format!("host {} dies", host.number));
            }
            (1 | 2, _) if self.hosts.len() < HOSTS_MAX => self.start_host().await,
            (3, Some(any)) => {
                self.hosts[any].clock_skew_ms = self.context.random_clock_skew();
                self.hosts[any].set_clock(&self.context);
            }
            (4, Some(any)) => self.hosts[any].store.set_fault_mode(StoreFaultMode::Disconnected),
            (5, Some(any)) => self.hosts[any].store.set_fault_mode(StoreFaultMode::Lossy),
            (6 | 7, Some(any)) => self.hosts[any].store.set_fault_mode(StoreFaultMode::Reliable),
            (8, _) => self.queue.clear(),
            _ => {
                if let Some(any) = self.context.random_index(self.tasks.len()) {
                    let long = self.context.random_between(30_000, 1_500_000);
                    self.tasks[any].asleep_until_ms = self.context.time_ms() + long;
                    let (host, what) = (self.tasks[any].host, self.tasks[any].name);
                    self.context
                        .log_step(|| format!("host {host} falls asleep over {what} for {long} ms"));
                }
            }
        }
    }

    /// Lets one task that is awake go on to its next gate.
    async fn run_one_task(&mut self) {
        let now = self.context.time_ms();
        let awake: Vec<usize> = (0..self.tasks.len())
            .filter(|index| self.tasks[*index].asleep_until_ms <= now)
            .collect();
        let Some(index) = self.context.random_index(awake.len()).map(|any| awake[any]) else {
            return;
        };
        let running = &mut self.tasks[index];
        let done = self.context.scheduler.run_until_yield(&mut running.task).await;
        let (host, what) = (running.host, running.name);
        let Some(done) = done else { return };
        self.context
            .log_step(|| format!("host {host} is done with {what}"));
        self.tasks.swap_remove(index);
        match done {
            TaskResult::Finished => {}
            TaskResult::Claimed(claimed) => {
                for one in claimed {
                    let index = self.hosts.iter().position(|other| other.number == host);
                    self.spawn_task(index.unwrap(), "a round", |gateway| async move {
                        deliver::run_round(&gateway, one).await;
                        TaskResult::Finished
                    });
                }
            }
            TaskResult::AcceptAnswered(number, answer) => self.handle_accept_result(number, answer),
        }
    }

    fn spawn_task<F: Future<Output = TaskResult> + Send + 'static>(
        &mut self,
        host: usize,
        what: &'static str,
        task: impl FnOnce(Arc<Gateway>) -> F,
    ) {
        let host = &self.hosts[host];
        self.tasks.push(RunningTask {
            host: host.number,
            name: what,
            asleep_until_ms: 0,
            task: Box::pin(task(Arc::clone(&host.gateway))),
        });
    }

    /// Some host begins something.
    fn start_random_task(&mut self) {
        let Some(host) = self.context.random_index(self.hosts.len()) else {
            return;
        };
        let number = self.hosts[host].number;
        if self.tasks.iter().filter(|running| running.host == number).count() >= TASKS_PER_HOST_MAX {
            return;
        }
        match self.context.fraction() {
            luck if luck < 0.42 => self.start_claim(host),
            luck if luck < 0.62 => self.submit_message(host),
            luck if luck < 0.80 => self.deliver_receipts(host),
            luck if luck < 0.84 => self.cancel_message(host),
            luck if luck < 0.87 => self.requeue_failed(host),
            luck if luck < 0.93 => self.spawn_task(host, "exchange", |gateway| async move {
                let _ = shared_health::sync_health(&gateway).await;
                TaskResult::Finished
            }),
            luck if luck < 0.96 => self.spawn_task(host, "resend", |gateway| async move {
                let _ = resend::enqueue_if_due(&gateway, JOB_INTERVAL).await;
                TaskResult::Finished
            }),
            luck if luck < 0.99 => self.spawn_task(host, "sync", |gateway| async move {
                let _ = sync_report::sync_if_due(&gateway, JOB_INTERVAL).await;
                TaskResult::Finished
            }),
            _ => self.spawn_task(host, "prune", |gateway| async move {
                let age = prune::PruneOptions {
                    older_than: Duration::from_secs(120),
                    is_by_month: false,
                };
                let _ = prune::prune(&gateway, age, |_| {}).await;
                TaskResult::Finished
            }),
        }
    }

    /// A worker looks for something to do.
    fn start_claim(&mut self, host: usize) {
        let places = usize::try_from(self.context.random_between(1, 4)).unwrap();
        self.spawn_task(host, "claim", move |gateway| async move {
            let found = due::find_due(&gateway, &places, Duration::ZERO).await;
            TaskResult::Claimed(deliver::claim(&gateway, found.ids).await)
        });
    }

    /// A client asks for a message, or asks once more for one that got no 2xx.
    fn submit_message(&mut self, host: usize) {
        let again = self
            .context
            .chance(0.5)
            .then(|| self.unanswered_requests.pop())
            .flatten();
        let number = again.unwrap_or(self.messages_submitted);
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

    fn handle_accept_result(&mut self, number: usize, answer: Result<Accepted, AcceptError>) {
        match answer {
            Ok(accepted) => {
                let body = request_number(number).body;
                self.context.model().accepted_bodies.insert(accepted.id, body);
            }
            Err(AcceptError::Suppressed) => {}
            Err(AcceptError::Store(_)) => self.unanswered_requests.push(number),
            Err(other) => panic!("message {number} is refused: {other:?}"),
        }
    }

    /// Receipts come in: early, late, twice, never, from the wrong provider, for nothing we know.
    fn deliver_receipts(&mut self, host: usize) {
        let mut receipts = Vec::new();
        let mut speaker = self
            .context
            .random_index(PROVIDERS.len())
            .map(|any| PROVIDERS[any]);
        for _ in 0..self.context.random_between(1, 3) {
            let known = self.context.model().receipt_references.clone();
            let reference = match self.context.random_index(known.len()) {
                Some(any) if self.context.chance(0.95) => {
                    speaker = Some(known[any].0);
                    known[any].1.clone()
                }
                _ => "stray".to_owned(),
            };
            let reason = "a storm".to_owned();
            let verdict = match self.context.fraction() {
                luck if luck < 0.55 => ReceiptStatus::Delivered,
                luck if luck < 0.78 => ReceiptStatus::Bounced { reason },
                luck if luck < 0.80 => ReceiptStatus::Invalid { reason },
                _ => ReceiptStatus::Opened,
            };
            let at = self.hosts[host].gateway.clock.now();
            receipts.push(Receipt {
                reference,
                status: verdict,
                at,
            });
        }
        let Some(speaker) = speaker.map(|name| name.parse().unwrap()) else {
            return;
        };
        self.spawn_task(host, "receipts", move |gateway| async move {
            let _ = receipts::apply_receipts(&gateway, &speaker, receipts).await;
            TaskResult::Finished
        });
    }

    fn cancel_message(&mut self, host: usize) {
        let promised: Vec<MessageId> = self.context.model().accepted_bodies.keys().copied().collect();
        let Some(id) = self.context.random_index(promised.len()).map(|any| promised[any]) else {
            return;
        };
        self.spawn_task(host, "cancel", move |gateway| async move {
            let _ = gateway.store.cancel_message(id, gateway.clock.now()).await;
            TaskResult::Finished
        });
    }

    fn requeue_failed(&mut self, host: usize) {
        let selection = DeliverySelection {
            status: if self.context.chance(0.7) {
                SelectableStatus::Failed
            } else {
                SelectableStatus::Waiting
            },
            provider: None,
            since: None,
            limit: 2,
        };
        self.spawn_task(host, "revive", move |gateway| async move {
            let expires_at = gateway.clock.now() + Duration::from_secs(3_600);
            if let Ok(ids) = resend::select_deliveries(&gateway, selection).await {
                let _ = resend::requeue(&gateway, &ids, expires_at, |_| {}).await;
            }
            TaskResult::Finished
        });
    }
}

/// The same request every time it is made. One in two has a key, and is made again under it.
fn request_number(number: usize) -> AcceptRequest {
    let channel = if number.is_multiple_of(3) {
        HOLDING_CHANNEL
    } else {
        RESENDING_CHANNEL
    };
    let body = format!("message {number}");
    let key = number.is_multiple_of(2).then(|| RequestIdempotencyKey {
        scope: "storm".to_owned(),
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
