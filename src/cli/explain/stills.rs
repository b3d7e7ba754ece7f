//! `explain IMAGE...`: still pictures, in batches. While the engine computes a batch, the pictures of the next one are read.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::results::{self, Computed, Results};
use super::terms::Terms;
use super::{Args, Compared, describe};
use crate::cli::complaints::Complaints;
use crate::cli::loading::{self, engine_settings, load_network, preprocessing};
use crate::cli::overlay::look;
use crate::engine::{Batch, Choice, Devices, Engine, FrameAnswer, Precision, Task, TermSite, Ticket};
use crate::error::{Error, Kind, Result};
use crate::frame::Still;
use crate::overlay::{self, Heatmap, Normaliser, draw_sheet, draw_still};
use crate::process;
use crate::saliency::Method;
use crate::saliency::preprocess::Preprocessing;
use crate::stills;
use crate::stream::Labels;

/// Samples of the pictures of one batch, after which it is closed though it is not full: bounds memory.
const BATCH_SAMPLES: usize = 1 << 28;

/// Explains pictures, in their order. A picture that cannot be read is told on standard error, and the others are done.
pub fn run(args: &Args, folder: &Path) -> Result<()> {
    let compared = compared(&args.methods);
    let all = results::plan(&args.images, folder, !compared.is_empty(), args.force)?;
    if args.terms.is_some() && args.target.method == Method::IntegratedGradients {
        return Err(Error::usage("--terms: integrated gradients have no terms of nodes; give another --method, such as fullgrad"));
    }
    let taken: Vec<&Path> = all.iter().flat_map(Results::taken).collect();
    let terms = args.terms.as_deref().map(|path| Terms::plan(path, &taken, args.force)).transpose()?;
    process::keep_pages();
    let loaded = load_network(&args.network, None)?;
    let preprocessing = preprocessing(&args.network, &loaded)?;
    let head = loaded.head()?;
    let choice = Arc::new(Choice::Fixed(loading::rule(&args.target, &loaded, &head)?));
    let mut settings = engine_settings(&args.compute, &args.target, Precision::fastest)?;
    let threads = settings.thread_count();
    settings.workers = args.pool.workers;
    // The method that explains, then those that only the sheet wants.
    let methods = &mut settings.attribution.methods;
    let sheet: Vec<usize> = compared
        .into_iter()
        .map(|method| {
            methods.iter().position(|known| *known == method).unwrap_or_else(|| {
                methods.push(method);
                methods.len() - 1
            })
        })
        .collect();
    settings.head = head;
    settings.max_residual = args.faults.max_residual;
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
        methods: settings.attribution.methods.iter().map(Method::to_string).collect(),
        sheet,
        threads,
        alone: all.len() == 1,
        faults: Vec::new(),
        sites: engine.sites().to_vec(),
        terms,
        numeric: Complaints::default(),
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
    if let Some(terms) = desk.terms.take() {
        terms.write(&desk.network)?;
    }
    if let Some(told) = crate::cli::told(engine.record().counts()) {
        eprintln!("{told}");
    }
    desk.verdict(all.len())
}

/// Pictures that are computed together, and those among them that could not be read.
struct Group<'a> {
    pictures: Vec<(&'a Results, Result<Still>)>,
    /// For the pictures that were read, in order, one a method; none without any picture.
    tickets: Vec<Ticket>,
}

/// A picture, and its answers, one a method.
type Answered = (Still, Vec<FrameAnswer>);

struct Desk {
    look: overlay::Settings,
    preprocessing: Preprocessing,
    labels: Labels,
    network: String,
    precision: &'static str,
    /// The first is the one that explains.
    methods: Vec<String>,
    /// Those of them that the comparing sheet shows, in its order; none where there is no sheet.
    sheet: Vec<usize>,
    threads: usize,
    /// True for a single picture, whose fault is the command's.
    alone: bool,
    faults: Vec<Error>,
    sites: Vec<TermSite>,
    terms: Option<Terms>,
    numeric: Complaints,
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
        let methods = if read == 0 { 0 } else { self.methods.len() };
        let tickets = (0..methods).map(|method| engine.submit(Task::ExplainBy(method), &input, choice)).collect::<Result<_>>()?;
        Ok(Group { pictures, tickets })
    }

    /// Waits for the answers, writes the results, and tells what became of each picture.
    fn finish(&mut self, group: Group) -> Result<()> {
        let mut answers = group.tickets.into_iter().map(|ticket| Ok(ticket.frames()?.0.into_iter())).collect::<Result<Vec<_>>>()?;
        let mut of_next = || answers.iter_mut().map(|of_method| of_method.next().expect("an answer for each picture")).collect();
        let work: Vec<(&Results, Result<Answered>)> =
            group.pictures.into_iter().map(|(results, still)| (results, still.map(|still| (still, of_next())))).collect();
        let written = side_by_side(&work, self.threads, |(results, picture)| match picture {
            Ok((still, answers)) => self.write(results, still, answers),
            Err(_) => Ok(()),
        });
        for ((results, picture), written) in work.into_iter().zip(written) {
            written?;
            match picture {
                Ok((_, answers)) => {
                    let answer = &answers[0];
                    let picture = results.picture.display().to_string();
                    let caption = self.labels.caption(answer, &self.methods[0]);
                    let files = [&results.overlay].into_iter().chain(&results.sheet).map(|file| file.display().to_string());
                    let files = files.collect::<Vec<_>>().join(", ");
                    crate::cli::print(&format!("{picture}: {}, {}; {files}\n", caption.left, caption.right))?;
                    if let Some(line) = answer.fault.and_then(|fault| self.numeric.line(&picture, fault, answer.residual)) {
                        eprintln!("{line}");
                    }
                    if let Some(terms) = &mut self.terms {
                        terms.add(&picture, &self.sites, &answer.terms);
                    }
                }
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

    fn write(&self, results: &Results, still: &Still, answers: &[FrameAnswer]) -> Result<()> {
        let view = self.preprocessing.view(still.width_px, still.height_px, (1, 1));
        let (answer, method) = (&answers[0], self.methods[0].as_str());
        let caption = self.labels.caption(answer, method);
        let drawn = draw_still(still, &heatmap(answer), &view, &self.look, Some(&caption))?;
        let computed = Computed { network: &self.network, precision: self.precision, method };
        let report = results::report(&results.picture, still, &view, answer, &self.labels, computed);
        results.write(&drawn, answer, &report)?;
        let Some(sheet) = &results.sheet else { return Ok(()) };
        let panels: Vec<(Heatmap, String)> =
            self.sheet.iter().map(|&method| (heatmap(&answers[method]), self.methods[method].clone())).collect();
        stills::write_png(sheet, &draw_sheet(still, &caption.left, &panels, &view, &self.look)?)
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

/// A map stretched for the picture alone.
fn heatmap(answer: &FrameAnswer) -> Heatmap {
    Normaliser::new(Duration::ZERO).apply(&answer.map, answer.width, answer.height, Duration::ZERO)
}

/// The methods of --methods, each once, in order.
fn compared(asked: &[Compared]) -> Vec<Method> {
    let mut methods = Vec::new();
    for asked in asked {
        let more = match asked {
            Compared::All => Method::ALL.to_vec(),
            Compared::One(method) => vec![method.clone()],
        };
        for method in more {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
    }
    methods
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
    fn every_method_is_compared_once() {
        let named = Compared::One(Method::GradCam(Some("relu".to_owned())));
        let methods = compared(&[Compared::One(Method::Gradient), named, Compared::All]);
        assert_eq!(methods.len(), 9);
        assert_eq!(methods[..3], [Method::Gradient, Method::GradCam(Some("relu".to_owned())), Method::Fullgrad]);
        assert_eq!(compared(&[]), []);
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 7, 200] {
            assert_eq!(side_by_side(&items, threads, |item| item * item), items.iter().map(|item| item * item).collect::<Vec<_>>());
        }
        assert_eq!(side_by_side(&[0u8; 0], 3, |_| ()), []);
    }
}
