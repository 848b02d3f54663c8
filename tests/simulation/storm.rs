//! The storm itself: which host does what next, who dies, who sleeps, whose way to the store is cut, how time goes on.
//!
//! Everything is chosen by the world's luck, and only one thing happens at a time.

use std::sync::Arc;
use std::time::Duration;

use postrider::domain::id::MessageId;
use postrider::domain::receipt::{Receipt, Verdict};
use postrider::flow::accept::{self, Accepted, Refused, Request, RequestKey};
use postrider::flow::deliver::{self, Held};
use postrider::flow::{prune, resend, settle, sync_report};
use postrider::gateway::{Gateway, fleet};
use postrider::store::{self, Pick, Selection, Store};

use super::host::{CARRIERS, HOLDS, Host, RESENDS};
use super::link::Weather;
use super::rumours::Rumours;
use super::world::{Journal, Task, World};

/// The most hosts at once, and the most that one does at once.
const HOSTS_MAX: usize = 5;
const TASKS_MAX: usize = 8;

/// How often every host does what needs only one.
const SCHEDULE: Duration = Duration::from_secs(4);

/// How long a round of the calm lasts, and how many there are at most: longer than the oldest delivery may grow.
const CALM_STEP: Duration = Duration::from_secs(301);
const CALM_STEPS_MAX: usize = 1_000;

/// What a task came to.
enum Done {
    Nothing,
    Claimed(Vec<Held>),
    Answered(usize, Result<Accepted, Refused>),
}

/// A task of a host, on its way from gate to gate.
struct Running {
    host: usize,
    what: &'static str,
    asleep_until_ms: i64,
    task: Task<Done>,
}

/// A storm under way.
pub struct Storm {
    pub world: Arc<World>,
    pub store: Arc<dyn Store>,
    queue: Arc<Rumours>,
    hosts: Vec<Host>,
    hosts_started: usize,
    running: Vec<Running>,
    messages_max: usize,
    messages: usize,
    /// Requests that were not answered with a 2xx and are made again.
    unanswered: Vec<usize>,
    _folder: tempfile::TempDir,
}

impl Storm {
    pub async fn new(seed: u64, journal: &Arc<Journal>) -> Self {
        // A memory-backed folder where there is one: nobody pulls the plug here.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.unwrap();
        let url = format!("sqlite:{}", folder.path().join("storm.db").display());
        let world = World::new(seed, Arc::clone(journal));
        let mut storm = Self {
            store: store::open(&url, store::LOCK_WAIT).unwrap(),
            queue: Arc::new(Rumours::new(&world)),
            hosts: Vec::new(),
            hosts_started: 0,
            running: Vec::new(),
            messages_max: usize::try_from(world.between(20, 50)).unwrap(),
            messages: 0,
            unanswered: Vec::new(),
            world,
            _folder: folder,
        };
        for _ in 0..storm.world.between(2, 4) {
            storm.start_host().await;
        }
        storm
    }

    /// One step of the storm; false when there is nothing more to send.
    pub async fn step(&mut self) -> bool {
        let by = self.world.between(0, 3_500).unsigned_abs();
        self.pass_time(Duration::from_millis(by));
        let luck = self.world.luck();
        match luck {
            luck if luck < 0.008 => self.trouble().await,
            luck if luck < 0.30 => self.begin(),
            _ => {}
        }
        self.turn().await;
        self.messages < self.messages_max
    }

    /// From now on everybody behaves: runs on until nothing waits; false when something waits for ever.
    pub async fn calm(&mut self) -> bool {
        self.world.ledger().calm = true;
        for running in &mut self.running {
            running.asleep_until_ms = 0;
        }
        if self.hosts.is_empty() {
            self.start_host().await;
        }
        for _ in 0..CALM_STEPS_MAX {
            while !self.running.is_empty() {
                self.turn().await;
            }
            let waiting = self.store.backlog(self.world.now()).await.unwrap().waiting;
            if waiting == 0 && self.unanswered.is_empty() {
                return true;
            }
            self.pass_time(CALM_STEP);
            for host in 0..self.hosts.len() {
                self.fetch(host);
            }
            self.ask_again();
        }
        false
    }

    fn pass_time(&self, by: Duration) {
        self.world.advance(by);
        for host in &self.hosts {
            host.set_clock(&self.world);
        }
    }

    async fn start_host(&mut self) {
        let number = self.hosts_started;
        self.hosts_started += 1;
        let host = Host::start(&self.world, &self.store, &self.queue, number).await;
        self.world
            .note(|| format!("host {number} starts, {} ms off", host.skew_ms));
        self.hosts.push(host);
    }

    /// Something goes wrong: a host dies or starts, a clock is put elsewhere, a way to the store is cut or mended,
    /// the queue is flushed, a task falls asleep for longer than a lease.
    async fn trouble(&mut self) {
        let any = self.world.pick(self.hosts.len());
        match (self.world.between(0, 9), any) {
            (0, Some(any)) => {
                let host = self.hosts.swap_remove(any);
                self.running.retain(|running| running.host != host.number);
                self.world.note(|| format!("host {} dies", host.number));
            }
            (1 | 2, _) if self.hosts.len() < HOSTS_MAX => self.start_host().await,
            (3, Some(any)) => {
                self.hosts[any].skew_ms = self.world.skew();
                self.hosts[any].set_clock(&self.world);
            }
            (4, Some(any)) => self.hosts[any].link.set(Weather::Cut),
            (5, Some(any)) => self.hosts[any].link.set(Weather::Rough),
            (6 | 7, Some(any)) => self.hosts[any].link.set(Weather::Fair),
            (8, _) => self.queue.forget(),
            _ => {
                if let Some(any) = self.world.pick(self.running.len()) {
                    let long = self.world.between(30_000, 1_500_000);
                    self.running[any].asleep_until_ms = self.world.time_ms() + long;
                    let (host, what) = (self.running[any].host, self.running[any].what);
                    self.world
                        .note(|| format!("host {host} falls asleep over {what} for {long} ms"));
                }
            }
        }
    }

    /// Lets one task that is awake go on to its next gate.
    async fn turn(&mut self) {
        let now = self.world.time_ms();
        let awake: Vec<usize> = (0..self.running.len())
            .filter(|index| self.running[*index].asleep_until_ms <= now)
            .collect();
        let Some(index) = self.world.pick(awake.len()).map(|any| awake[any]) else {
            return;
        };
        let running = &mut self.running[index];
        let done = self.world.stage.turn(&mut running.task).await;
        let (host, what) = (running.host, running.what);
        let Some(done) = done else { return };
        self.world.note(|| format!("host {host} is done with {what}"));
        self.running.swap_remove(index);
        match done {
            Done::Nothing => {}
            Done::Claimed(claimed) => {
                for one in claimed {
                    let index = self.hosts.iter().position(|other| other.number == host);
                    self.run(index.unwrap(), "a round", |gateway| async move {
                        deliver::round(&gateway, one).await;
                        Done::Nothing
                    });
                }
            }
            Done::Answered(number, answer) => self.answered(number, answer),
        }
    }

    fn run<F: Future<Output = Done> + Send + 'static>(
        &mut self,
        host: usize,
        what: &'static str,
        task: impl FnOnce(Arc<Gateway>) -> F,
    ) {
        let host = &self.hosts[host];
        self.running.push(Running {
            host: host.number,
            what,
            asleep_until_ms: 0,
            task: Box::pin(task(Arc::clone(&host.gateway))),
        });
    }

    /// Some host begins something.
    fn begin(&mut self) {
        let Some(host) = self.world.pick(self.hosts.len()) else {
            return;
        };
        let number = self.hosts[host].number;
        if self
            .running
            .iter()
            .filter(|running| running.host == number)
            .count()
            >= TASKS_MAX
        {
            return;
        }
        match self.world.luck() {
            luck if luck < 0.42 => self.fetch(host),
            luck if luck < 0.62 => self.ask(host),
            luck if luck < 0.80 => self.bring_receipts(host),
            luck if luck < 0.84 => self.cancel(host),
            luck if luck < 0.87 => self.send_failed_again(host),
            luck if luck < 0.93 => self.run(host, "exchange", |gateway| async move {
                let _ = fleet::exchange(&gateway).await;
                Done::Nothing
            }),
            luck if luck < 0.96 => self.run(host, "resend", |gateway| async move {
                let _ = resend::if_due(&gateway, SCHEDULE).await;
                Done::Nothing
            }),
            luck if luck < 0.99 => self.run(host, "sync", |gateway| async move {
                let _ = sync_report::sync_if_due(&gateway, SCHEDULE).await;
                Done::Nothing
            }),
            _ => self.run(host, "prune", |gateway| async move {
                let age = prune::Age {
                    older_than: Duration::from_secs(120),
                    whole_months: false,
                };
                let _ = prune::prune(&gateway, age, |_| {}).await;
                Done::Nothing
            }),
        }
    }

    /// A worker looks for something to do.
    fn fetch(&mut self, host: usize) {
        let places = usize::try_from(self.world.between(1, 4)).unwrap();
        self.run(host, "claim", move |gateway| async move {
            let found = deliver::next(&gateway, &places, Duration::ZERO).await;
            Done::Claimed(deliver::claim(&gateway, found.ids).await)
        });
    }

    /// A client asks for a message, or asks once more for one that got no 2xx.
    fn ask(&mut self, host: usize) {
        let again = self.world.chance(0.5).then(|| self.unanswered.pop()).flatten();
        let number = again.unwrap_or(self.messages);
        self.messages = self.messages.max(number + 1);
        self.ask_for(host, number);
    }

    fn ask_again(&mut self) {
        while let Some(number) = self.unanswered.pop() {
            self.ask_for(0, number);
        }
    }

    fn ask_for(&mut self, host: usize, number: usize) {
        let request = request(number);
        self.run(host, "accept", move |gateway| async move {
            Done::Answered(number, accept::accept(&gateway, request).await)
        });
    }

    fn answered(&mut self, number: usize, answer: Result<Accepted, Refused>) {
        match answer {
            Ok(accepted) => {
                let body = request(number).body;
                self.world.ledger().promised.insert(accepted.id, body);
            }
            Err(Refused::Suppressed) => {}
            Err(Refused::Store(_)) => self.unanswered.push(number),
            Err(other) => panic!("message {number} is refused: {other:?}"),
        }
    }

    /// Receipts come in: early, late, twice, never, from the wrong provider, for nothing we know.
    fn bring_receipts(&mut self, host: usize) {
        let mut receipts = Vec::new();
        let mut speaker = self.world.pick(CARRIERS.len()).map(|any| CARRIERS[any]);
        for _ in 0..self.world.between(1, 3) {
            let known = self.world.ledger().references.clone();
            let reference = match self.world.pick(known.len()) {
                Some(any) if self.world.chance(0.95) => {
                    speaker = Some(known[any].0);
                    known[any].1.clone()
                }
                _ => "stray".to_owned(),
            };
            let reason = "a storm".to_owned();
            let verdict = match self.world.luck() {
                luck if luck < 0.55 => Verdict::Delivered,
                luck if luck < 0.78 => Verdict::Bounced { reason },
                luck if luck < 0.80 => Verdict::Invalid { reason },
                _ => Verdict::Opened,
            };
            let at = self.hosts[host].gateway.clock.now();
            receipts.push(Receipt {
                reference,
                verdict,
                at,
            });
        }
        let Some(speaker) = speaker.map(|name| name.parse().unwrap()) else {
            return;
        };
        self.run(host, "receipts", move |gateway| async move {
            let _ = settle::settle(&gateway, &speaker, receipts).await;
            Done::Nothing
        });
    }

    fn cancel(&mut self, host: usize) {
        let promised: Vec<MessageId> = self.world.ledger().promised.keys().copied().collect();
        let Some(id) = self.world.pick(promised.len()).map(|any| promised[any]) else {
            return;
        };
        self.run(host, "cancel", move |gateway| async move {
            let _ = gateway.store.cancel(id, gateway.clock.now()).await;
            Done::Nothing
        });
    }

    fn send_failed_again(&mut self, host: usize) {
        let selection = Selection {
            pick: if self.world.chance(0.7) {
                Pick::Failed
            } else {
                Pick::Waiting
            },
            provider: None,
            since: None,
            limit: 2,
        };
        self.run(host, "revive", move |gateway| async move {
            let expires_at = gateway.clock.now() + Duration::from_secs(3_600);
            if let Ok(ids) = resend::selected(&gateway, selection).await {
                let _ = resend::revive(&gateway, &ids, expires_at, |_| {}).await;
            }
            Done::Nothing
        });
    }
}

/// The same request every time it is made. One in two has a key, and is made again under it.
fn request(number: usize) -> Request {
    let channel = if number.is_multiple_of(3) { HOLDS } else { RESENDS };
    let body = format!("message {number}");
    let key = number.is_multiple_of(2).then(|| RequestKey {
        scope: "storm".to_owned(),
        key: body.clone(),
        request: body.clone(),
    });
    Request {
        to: vec![(channel.to_owned(), format!("0912{:07}", number % 17))],
        body,
        key,
        ..Request::default()
    }
}
