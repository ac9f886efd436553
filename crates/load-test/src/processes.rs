//! Processor time and memory of all that works: our processes, the servers under them, this generator, and the rest of the machine.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use dev_stack::servers;
use dev_stack::status::Status;
use serde::Serialize;

/// The name under which this process is shown.
pub const GENERATOR: &str = "load generator";
const TICKS: f64 = 100.0;

/// Who is looked at.
#[derive(Debug, Clone)]
pub struct Processes {
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct Group {
    name: String,
    pid: i32,
    /// Its children belong to it: PostgreSQL has a process for each connection.
    is_tree: bool,
}

/// Whose memory is asked for: of a tree of processes that takes milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weigh {
    Nothing,
    Single,
    All,
}

/// What they have used so far, and have now.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Seconds by name.
    pub cpu: BTreeMap<String, f64>,
    /// Bytes by name. Of a tree, memory that is shared counts once.
    pub memory: BTreeMap<String, u64>,
    /// Seconds of all processors that did something.
    pub machine: f64,
}

impl Processes {
    pub fn of(status: &Status, folder: &Path) -> Self {
        let ours = status.services.iter().map(|(name, service)| Group {
            name: name.clone(),
            pid: service.pid,
            is_tree: false,
        });
        let servers = servers::running(folder).map_or_else(Vec::new, |servers| servers.processes);
        let servers = servers.into_iter().map(|(name, process)| Group {
            name,
            pid: process.pid,
            is_tree: true,
        });
        let generator = Group {
            name: GENERATOR.to_owned(),
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            is_tree: false,
        };
        Self {
            groups: ours.chain(servers).chain([generator]).collect(),
        }
    }

    /// The names of the product's own processes.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        let ours = self
            .groups
            .iter()
            .filter(|group| !group.is_tree && group.name != GENERATOR);
        ours.map(|group| group.name.as_str())
    }

    pub fn sample(&self, weigh: Weigh) -> Sample {
        let children = children();
        let mut sample = Sample {
            machine: machine_seconds(),
            ..Sample::default()
        };
        for group in &self.groups {
            let (mut cpu, mut memory) = (cpu_seconds(group.pid, group.is_tree), 0);
            let is_weighed = match weigh {
                Weigh::Nothing => false,
                Weigh::Single => !group.is_tree,
                Weigh::All => true,
            };
            let mut waiting = vec![group.pid];
            while let Some(pid) = waiting.pop() {
                if pid != group.pid {
                    cpu += cpu_seconds(pid, false);
                }
                if is_weighed {
                    memory += if group.is_tree {
                        kibibytes(pid, "smaps_rollup", "Pss:")
                    } else {
                        kibibytes(pid, "status", "VmRSS:")
                    };
                }
                if group.is_tree {
                    waiting.extend(children.get(&pid).into_iter().flatten());
                }
            }
            sample.cpu.insert(group.name.clone(), cpu);
            if is_weighed {
                sample.memory.insert(group.name.clone(), memory << 10);
            }
        }
        sample
    }
}

fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// With the time of children that have ended, where they belong to it.
fn cpu_seconds(pid: i32, with_ended: bool) -> f64 {
    let fields = stat(pid).unwrap_or_default();
    let ticks = fields.iter().skip(11).take(if with_ended { 4 } else { 2 });
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn children() -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        let parent = stat(pid).and_then(|fields| fields.get(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

fn kibibytes(pid: i32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// Resident memory of a process, in KiB.
pub fn resident(pid: i32) -> Option<f64> {
    Some(kibibytes(pid, "status", "VmRSS:"))
        .filter(|kibibytes| *kibibytes > 0)
        .map(|kibibytes| kibibytes as f64)
}

fn machine_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks = fields.take(8).enumerate().filter(|(at, _)| ![3, 4].contains(at));
    ticks
        .filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// What the load runs on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory: String,
    pub kernel: String,
}

impl Machine {
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let processor = cpu.lines().find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, name)| name.to_owned())
        });
        let kibibytes = read("/proc/meminfo")
            .lines()
            .next()
            .and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
            .unwrap_or_default();
        Self {
            processor: processor.unwrap_or_else(|| "unknown".to_owned()),
            cores: cpu.lines().filter(|line| line.starts_with("processor")).count(),
            memory: format!("{:.1} GiB", kibibytes / 1_048_576.0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            processor,
            cores,
            memory,
            kernel,
        } = self;
        write!(f, "{processor}, {cores} cores, {memory}, Linux {kernel}")
    }
}
