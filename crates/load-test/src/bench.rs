//! Runs: what is prepared, measured and told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use dev_stack::status::Status;

use crate::action::{Action, Kind, Workload};
use crate::client::Client;
use crate::closed;
use crate::cost::Meter;
use crate::open::{self, Outcome};
use crate::prepare::{Staff, Wanted, prepare};
use crate::results::Results;
use crate::saturate::{self, Saturator};
use crate::school::School;
use crate::targets;
use crate::yardstick::Yardstick;

/// How much load, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// Rounds of saturation; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each round is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Before each measurement of saturation.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Kept connections of saturation.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Threads of this generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Accounts that learn, and as many that enrol, in saturation.
    #[arg(long, default_value_t = 320)]
    accounts: usize,
    #[arg(long, default_value_t = 1_000)]
    courses: usize,
    /// Users of the open loop, each on a connection from an address of its own.
    #[arg(long, default_value_t = 10_000)]
    users: usize,
    /// So many users who watch or browse share an account; who sits an exam or enrols never does.
    #[arg(long, default_value_t = 1)]
    sharing: usize,
    /// Over how many seconds the users come.
    #[arg(long, default_value_t = 20.0)]
    ramp: f64,
    /// How many seconds they are measured.
    #[arg(long, default_value_t = 60.0)]
    duration: f64,
    /// Offered over what there can be, in overload.
    #[arg(long, default_value_t = 2.0)]
    overload: f64,
    /// Of a machine that is busy with something else.
    #[arg(skip)]
    most_peak: Option<f64>,
    /// Where reports go.
    #[arg(long, default_value = ".dev/load")]
    reports: PathBuf,
}

impl Load {
    #[must_use]
    pub fn smoke(self) -> Self {
        Self {
            rounds: 1,
            seconds: 0.3,
            warm_up: 0.1,
            connections: 2,
            accounts: 4,
            courses: 20,
            users: 40,
            ramp: 0.5,
            duration: 2.0,
            most_peak: Some(200.0),
            ..self
        }
    }

    fn of_kind(&self, kind: Kind) -> usize {
        (0..self.users).filter(|user| Kind::of(*user) == kind).count()
    }

    fn open_seconds(&self) -> f64 {
        self.ramp + open::CALM.as_secs_f64() + self.duration
    }

    fn saturation(&self) -> closed::Plan {
        closed::Plan {
            connections: self.connections,
            threads: self.threads.max(1),
            warm_up: Duration::from_secs_f64(self.warm_up),
            measured: Duration::from_secs_f64(self.seconds),
        }
    }

    fn open(&self, rate: Option<f64>) -> open::Plan {
        open::Plan {
            users: self.users,
            threads: self.threads.max(1),
            ramp: Duration::from_secs_f64(self.ramp),
            measured: Duration::from_secs_f64(self.duration),
            rate,
        }
    }

    /// The school for saturation.
    fn few(&self, workloads: &[Workload]) -> Wanted {
        let enrolls = workloads.iter().any(|workload| workload.needs(Action::Enrol));
        // More than twelve times the older design's rate, and the mixes beside it.
        let enrolments = 15_000.0 * (self.seconds + self.warm_up) * self.rounds as f64;
        let places = enrolments / self.accounts.max(1) as f64;
        Wanted {
            learning: self.accounts,
            enrolling: self.accounts,
            courses: self.courses,
            places: if enrolls { places as usize } else { 0 },
            seconds: 600,
        }
    }

    /// The school for users.
    fn many(&self) -> Wanted {
        let (sitting, heavy) = (self.of_kind(Kind::Sitting), self.of_kind(Kind::Heavy));
        let others = (self.users - sitting).div_ceil(self.sharing.max(1));
        Wanted {
            learning: (sitting + others).max(self.accounts),
            enrolling: heavy.max(self.accounts),
            courses: self.courses,
            // Every second request of theirs.
            places: self.open_seconds() as usize,
            seconds: 300 + self.open_seconds() as i64,
        }
    }
}

/// A stack to measure.
pub struct Bench<'a> {
    pub client: &'a Client,
    pub status: &'a Status,
    pub folder: &'a Path,
    pub database: &'a str,
    pub staff: &'a Staff,
}

impl Bench<'_> {
    pub async fn everything(&self, load: &Load) -> Result<()> {
        let mut results = Results::new(load.connections);
        self.add_saturation(&Workload::ALL, load, &mut results).await?;
        self.add_users(load, &mut results).await?;
        let peak = peak_of(&results);
        self.add_overload(peak, load, &mut results).await?;
        tell(&results, load)
    }

    pub async fn saturate(&self, workloads: &[Workload], load: &Load) -> Result<()> {
        let workloads = if workloads.is_empty() {
            &Workload::ALL
        } else {
            workloads
        };
        let mut results = Results::new(load.connections);
        self.add_saturation(workloads, load, &mut results).await?;
        tell(&results, load)
    }

    pub async fn users(&self, load: &Load) -> Result<()> {
        let mut results = Results::new(load.connections);
        self.add_users(load, &mut results).await?;
        tell(&results, load)
    }

    pub async fn overload(&self, peak: Option<f64>, load: &Load) -> Result<()> {
        let mut results = Results::new(load.connections);
        let peak = if let Some(peak) = peak {
            peak
        } else {
            self.add_saturation(&[Workload::UsersMix], load, &mut results)
                .await?;
            peak_of(&results)
        };
        self.add_overload(peak, load, &mut results).await?;
        tell(&results, load)
    }

    async fn prepare(&self, wanted: Wanted) -> Result<(Arc<School>, Meter)> {
        let school = prepare(self.client, self.folder, self.staff, wanted).await?;
        let meter = Meter::connect(self.status, self.folder, self.database).await?;
        Ok((Arc::new(school), meter))
    }

    async fn add_saturation(&self, workloads: &[Workload], load: &Load, results: &mut Results) -> Result<()> {
        let (school, mut meter) = self.prepare(load.few(workloads)).await?;
        let mut saturator = Saturator {
            client: self.client,
            school: &school,
            meter: &mut meter,
            folder: self.folder,
            yardstick: Yardstick::start().await?,
        };
        let (measured, yardstick) = saturator.run(workloads, load.rounds, load.saturation()).await?;
        println!("{}", saturate::table(&measured));
        results.verdicts.extend(targets::of_saturation(&measured));
        (results.saturation, results.yardstick) = (measured, yardstick);
        Ok(())
    }

    async fn add_users(&self, load: &Load, results: &mut Results) -> Result<()> {
        let outcome = self.open("users", load, load.many(), None).await?;
        results.verdicts.extend(targets::of_users(&outcome));
        results.users = Some(outcome);
        Ok(())
    }

    async fn add_overload(&self, peak: f64, load: &Load, results: &mut Results) -> Result<()> {
        let peak = load.most_peak.map_or(peak, |most| peak.min(most));
        let rate = load.overload * peak;
        let mut wanted = load.many();
        // About one request in sixteen enrols.
        let heavy = load.of_kind(Kind::Heavy).max(1) as f64;
        wanted.places = (rate / 16.0 * load.open_seconds() / heavy) as usize;
        let outcome = self.open("overload", load, wanted, Some(rate)).await?;
        results.verdicts.extend(targets::of_overload(&outcome, peak));
        results.overload = Some(outcome);
        Ok(())
    }

    async fn open(
        &self,
        what: &'static str,
        load: &Load,
        wanted: Wanted,
        rate: Option<f64>,
    ) -> Result<Outcome> {
        let (school, mut meter) = self.prepare(wanted).await?;
        meter.settle().await;
        let outcome = open::run(self.client, &school, &mut meter, what, load.open(rate)).await?;
        school.write(self.folder)?;
        Ok(outcome)
    }
}

/// What there can be of the users' mix.
fn peak_of(results: &Results) -> f64 {
    let of_users = results
        .saturation
        .iter()
        .find(|one| one.workload == Workload::UsersMix);
    of_users.map_or(1.0, |one| one.median.per_second)
}

fn tell(results: &Results, load: &Load) -> Result<()> {
    if !results.verdicts.is_empty() {
        println!("{}", targets::table(&results.verdicts));
    }
    println!("report: {}", results.write(&load.reports)?.display());
    Ok(())
}
