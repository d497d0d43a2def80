//! Measures other load on the machine during a measurement.

use std::fs;

/// Processor time since the machine started, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    total: u64,
    idle: u64,
    stolen: u64,
}

/// Load on the machine other than the benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// The share of time that processors other than the sender's were busy.
    pub busy: f64,
    /// The share of time that the hypervisor gave to other guests.
    pub stolen: f64,
    /// The share of time that the sender waited for its processor.
    pub waited: f64,
}

impl Ticks {
    /// The ticks of all processors; of the sender's only the stolen time.
    pub fn now(sender: usize) -> Option<Ticks> {
        parse(&fs::read_to_string("/proc/stat").ok()?, sender)
    }

    /// The load between `self` and `later`.
    pub fn until(self, later: Ticks) -> Noise {
        let share = |part: u64, whole: u64| match whole {
            0 => 0.0,
            _ => part as f64 / whole as f64,
        };
        let total = later.total.saturating_sub(self.total);
        let idle = later.idle.saturating_sub(self.idle);
        Noise {
            busy: share(total.saturating_sub(idle), total),
            stolen: share(later.stolen.saturating_sub(self.stolen), total),
            waited: 0.0,
        }
    }
}

fn parse(stat: &str, sender: usize) -> Option<Ticks> {
    let mut ticks = Ticks {
        total: 0,
        idle: 0,
        stolen: 0,
    };
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let Some(processor) = words.next().and_then(|word| word.strip_prefix("cpu")) else {
            continue;
        };
        let Ok(processor) = processor.parse::<usize>() else {
            continue;
        };
        // proc(5): user, nice, system, idle, iowait, irq, softirq, steal.
        let times: Vec<u64> = words.filter_map(|word| word.parse().ok()).take(8).collect();
        let [.., idle, waiting, _, _, stolen] = times[..] else {
            return None;
        };
        ticks.stolen += stolen;
        if processor != sender {
            ticks.total += times.iter().sum::<u64>();
            ticks.idle += idle + waiting;
        }
    }
    Some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_senders_processor_is_left_out() {
        let before = parse(
            "cpu 1 1 1 1 1 1 1 1\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 9 9 9 9 9 9 9 0 0 0\n",
            1,
        );
        let after = parse(
            "cpu0 20 0 5 60 10 0 0 5 0 0\ncpu1 90 9 9 9 9 9 9 5 0 0\nintr 5\n",
            1,
        );
        let (Some(before), Some(after)) = (before, after) else {
            panic!("not parsed");
        };
        let noise = before.until(after);
        assert!((noise.busy - 0.3).abs() < 1e-9, "{noise:?}");
        assert!((noise.stolen - 0.1).abs() < 1e-9, "{noise:?}");
    }
}
