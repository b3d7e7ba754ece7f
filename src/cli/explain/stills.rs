//! `explain IMAGE...`: still pictures, in batches. While the engine computes a batch, the pictures of the next one are read.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::results::{self, Results};
use super::{Args, describe};
use crate::cli::loading::{class_target, engine_settings, load_network};
use crate::cli::overlay::look;
use crate::cli::view::preprocessing;
use crate::engine::{Batch, Choice, Devices, Engine, FrameAnswer, Precision, Task, Ticket};
use crate::error::{Error, Kind, Result};
use crate::frame::Still;
use crate::overlay::{self, Normaliser, draw_still};
use crate::process;
use crate::saliency::preprocess::Preprocessing;
use crate::stills;
use crate::stream::Labels;

/// Samples of the pictures of one batch, after which it is closed though it is not full: bounds memory.
const BATCH_SAMPLES: usize = 1 << 28;

/// Explains pictures, in their order. A picture that cannot be read is told on standard error, and the others are done.
pub fn run(args: &Args, folder: &Path) -> Result<()> {
    let all = results::plan(&args.images, folder, args.force)?;
    process::keep_pages();
    let loaded = load_network(&args.network, None)?;
    let preprocessing = preprocessing(&args.network, &loaded)?;
    let choice = Arc::new(Choice::Fixed(class_target(&args.target, &loaded)?));
    let mut settings = engine_settings(&args.compute, &args.target, Precision::fastest)?;
    let threads = settings.thread_count();
    settings.workers = args.pool.workers;
    if settings.devices == Devices::Cpu && settings.workers.is_none() && settings.threads.is_none() {
        // A worker is a copy of the network, and threads inside one wait for each other: one worker a thread, none without a picture.
        settings.threads = threads.min(all.len()).try_into().ok();
    }
    fs::create_dir_all(folder)
        .map_err(|error| Error::runtime(format!("{}: this folder cannot be made", folder.display())).with_source(error))?;
    let mut engine = Engine::start(&loaded.network, &settings)?;
    let mut desk = Desk {
        look: look(&args.look),
        preprocessing,
        labels: Labels(loaded.labels),
        network: loaded.model,
        precision: settings.precision.name(),
        threads,
        alone: all.len() == 1,
        faults: Vec::new(),
    };
    let mut waiting: Option<Group> = None;
    let mut rest = &all[..];
    while !rest.is_empty() {
        let group = desk.read(&mut rest, args.compute.batch.get(), &mut engine, &choice)?;
        if let Some(before) = waiting.replace(group) {
            desk.finish(before)?;
        }
    }
    if let Some(last) = waiting {
        desk.finish(last)?;
    }
    if let Some(told) = crate::cli::told(engine.record().counts()) {
        eprintln!("{told}");
    }
    desk.verdict(all.len())
}

/// Pictures that are computed together, and those among them that could not be read.
struct Group<'a> {
    pictures: Vec<(&'a Results, Result<Still>)>,
    /// For the pictures that were read, in order; `None` without any.
    ticket: Option<Ticket>,
}

struct Desk {
    look: overlay::Settings,
    preprocessing: Preprocessing,
    labels: Labels,
    network: String,
    precision: &'static str,
    threads: usize,
    /// True for a single picture, whose fault is the command's.
    alone: bool,
    faults: Vec<Error>,
}

impl Desk {
    /// Reads the next pictures, takes them off `rest`, and hands them to the engine.
    fn read<'a>(&self, rest: &mut &'a [Results], batch: usize, engine: &mut Engine, choice: &Arc<Choice>) -> Result<Group<'a>> {
        let mut pictures: Vec<(&Results, Result<Still>)> = Vec::new();
        let mut input = Batch::default();
        let (mut read, mut samples) = (0, 0);
        while !rest.is_empty() && read < batch && samples < BATCH_SAMPLES {
            let (now, later) = rest.split_at(self.threads.min(batch - read).min(rest.len()));
            *rest = later;
            let prepared = side_by_side(now, self.threads, |results| -> Result<(Still, Vec<f32>)> {
                let still = stills::read(&results.picture)?;
                let mut pixels = vec![0.0; self.preprocessing.len()];
                self.preprocessing.still(&still, &mut pixels);
                Ok((still, pixels))
            });
            for (results, prepared) in now.iter().zip(prepared) {
                let still = prepared.map(|(still, pixels)| {
                    input.pixels.extend(pixels);
                    read += 1;
                    samples += still.rgb.len();
                    still
                });
                pictures.push((results, still));
            }
        }
        let ticket = if read == 0 { None } else { Some(engine.submit(Task::Explain, &input, choice)?) };
        Ok(Group { pictures, ticket })
    }

    /// Waits for the answers, writes the results, and tells what became of each picture.
    fn finish(&mut self, group: Group) -> Result<()> {
        let answers = group.ticket.map(Ticket::frames).transpose()?.map(|(answers, _)| answers).unwrap_or_default();
        let mut answers = answers.into_iter();
        let work: Vec<(&Results, Result<(Still, FrameAnswer)>)> = group
            .pictures
            .into_iter()
            .map(|(results, still)| (results, still.map(|still| (still, answers.next().expect("an answer for each picture")))))
            .collect();
        let written = side_by_side(&work, self.threads, |(results, picture)| match picture {
            Ok((still, answer)) => self.write(results, still, answer),
            Err(_) => Ok(()),
        });
        for ((results, picture), written) in work.into_iter().zip(written) {
            written?;
            match picture {
                Ok((_, answer)) => crate::cli::print(&format!(
                    "{}: {}, {}; {}\n",
                    results.picture.display(),
                    self.labels.caption(&answer).left,
                    self.labels.caption(&answer).right,
                    results.overlay.display()
                ))?,
                Err(error) => {
                    if !self.alone {
                        eprintln!("{}", describe(&error));
                    }
                    self.faults.push(error);
                }
            }
        }
        Ok(())
    }

    fn write(&self, results: &Results, still: &Still, answer: &FrameAnswer) -> Result<()> {
        let view = self.preprocessing.view(still.width_px, still.height_px, (1, 1));
        let heatmap = Normaliser::new(Duration::ZERO).apply(&answer.map, answer.width, answer.height, Duration::ZERO);
        let drawn = draw_still(still, &heatmap, &view, &self.look, Some(&self.labels.caption(answer)))?;
        let report = results::report(&results.picture, still, &view, answer, &self.labels, (&self.network, self.precision));
        results.write(&drawn, answer, &report)
    }

    /// The error that the command ends with: exit code 66 where nothing but absent pictures went wrong, else 65.
    fn verdict(mut self, count: usize) -> Result<()> {
        if self.alone {
            return self.faults.pop().map_or(Ok(()), Err);
        }
        let absent = self.faults.iter().all(|error| error.kind() == Kind::NoInput);
        match self.faults.len() {
            0 => Ok(()),
            faults => Err(Error::new(
                if absent { Kind::NoInput } else { Kind::Data },
                format!("{faults} of {count} pictures could not be read; the lines above say why, and the others are explained"),
            )),
        }
    }
}

/// What `work` makes of each item, in the items' order, on at most `threads` threads.
fn side_by_side<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        done.extend(others.into_iter().flat_map(|other| other.join().expect("the work does not panic")));
        done
    });
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 7, 200] {
            assert_eq!(side_by_side(&items, threads, |item| item * item), items.iter().map(|item| item * item).collect::<Vec<_>>());
        }
        assert_eq!(side_by_side(&[0u8; 0], 3, |_| ()), []);
    }
}
