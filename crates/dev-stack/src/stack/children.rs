//! The services as child processes: started, and started again when one dies.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use super::environment::Environment;
use crate::process::{Known, behind, start_detached};
use crate::status::Status;

pub struct Children {
    program: PathBuf,
    logs: PathBuf,
    all: Vec<One>,
}

struct One {
    name: &'static str,
    environment: Environment,
    child: Child,
    process: Known,
    started: Instant,
    /// Set while it waits to be started again.
    due: Option<Instant>,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long has recovered.
const STABLE: Duration = Duration::from_secs(30);

impl Children {
    pub fn new(program: PathBuf, logs: PathBuf) -> Self {
        Self {
            program,
            logs,
            all: Vec::new(),
        }
    }

    pub fn start(&mut self, name: &'static str, environment: Environment) -> Result<()> {
        let (child, process) = self.spawn(name, &environment)?;
        let (started, due, pause) = (Instant::now(), None, FIRST_PAUSE);
        self.all.push(One {
            name,
            environment,
            child,
            process,
            started,
            due,
            pause,
        });
        Ok(())
    }

    /// Starts one beside others that share its processors.
    fn spawn(&self, name: &str, environment: &Environment) -> Result<(Child, Known)> {
        // `nice` would start, and not find it.
        ensure!(self.program.is_file(), "there is no {}", self.program.display());
        let mut command = behind(niceness(name));
        command.arg(&self.program).args([name, "serve"]);
        environment.give_to(&mut command);
        let child = start_detached(&mut command, &self.logs.join(format!("{name}.log")))?;
        let process = Known::of(child.id())?;
        Ok((child, process))
    }

    /// Starts again what has died; true when something changed.
    pub fn restart_dead(&mut self) -> Result<bool> {
        let mut changed = false;
        for index in 0..self.all.len() {
            let one = &mut self.all[index];
            match one.due {
                None => {
                    if let Some(status) = one.child.try_wait()? {
                        if one.started.elapsed() > STABLE {
                            one.pause = FIRST_PAUSE;
                        }
                        println!(
                            "{} ended ({status}); starting it again in {:?}",
                            one.name, one.pause
                        );
                        one.due = Some(Instant::now() + one.pause);
                        one.pause = (one.pause * 2).min(LONGEST_PAUSE);
                    }
                }
                Some(due) if due <= Instant::now() => {
                    let (name, environment) = (one.name, one.environment.clone());
                    let (child, process) = self.spawn(name, &environment)?;
                    let one = &mut self.all[index];
                    (one.child, one.process, one.started, one.due) = (child, process, Instant::now(), None);
                    changed = true;
                }
                Some(_) => {}
            }
        }
        Ok(changed)
    }

    pub fn describe(&self, status: &mut Status) {
        for one in &self.all {
            if let Some(service) = status.services.get_mut(one.name) {
                service.pid = one.process.pid;
                service.process = Some(one.process);
            }
        }
    }

    /// Asks all at once, then waits for each, the gateway first.
    pub fn stop_all(&mut self) {
        for one in &self.all {
            one.process.signal(Signal::SIGTERM);
        }
        for one in self.all.iter_mut().rev() {
            one.process.stop(Signal::SIGTERM, Duration::from_secs(25));
            let _ = one.child.wait();
        }
        self.all.clear();
    }
}

impl Drop for Children {
    /// Also when the start failed half-way: nothing is left behind.
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// Who waits for a processor first. The gateway before the services, as it tells how much they are given and has to say no at once; what
/// nobody waits for last (docs/PERFORMANCE.md). In a cluster the requests for processor time of the charts do this.
fn niceness(name: &str) -> &'static str {
    match name {
        "gateway" => "0",
        "notification" | "reporting" => "10",
        _ => "5",
    }
}
