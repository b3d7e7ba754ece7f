//! Operators that an exporter spelled out in simpler ones are put together again: a rule a form, a file a family.

mod form;
mod gates;
mod gelu;
mod group_norm;
mod layer_norm;
mod lrn;
mod polynomial;
mod softplus;

use std::collections::BTreeMap;

use self::form::Form;
use crate::network::ops::Op;
use crate::network::structure::Network;

/// What some steps are together.
struct Found {
    op: Op,
    /// The value that it reads.
    input: usize,
    /// The steps that it stands for, the last of them too.
    gone: Vec<usize>,
}

/// Looks for an operator of which this step is the last.
type Rule = fn(form: &Form, last: usize) -> Option<Found>;

/// Those that others are made of come first.
const RULES: &[Rule] = &[
    softplus::of_logarithm,
    softplus::with_threshold,
    softplus::of_sigmoid,
    gates::hard_sigmoid,
    gates::silu,
    gates::hard_swish,
    gates::mish,
    gates::softsign,
    gelu::by_erf,
    gelu::by_tanh,
    layer_norm::normalised,
    layer_norm::by_mean_square,
    layer_norm::scaled,
    layer_norm::shifted,
    group_norm::of_groups,
    lrn::over_channels,
];

/// Puts together what is spelled out; what none else reads of it vanishes.
pub fn put_together(network: &mut Network) {
    let mut form = Form::of(network);
    // By step: the operators that it was put together of. A norm that grows by its scale and shift stays one.
    let mut parts: BTreeMap<usize, Vec<&'static str>> = BTreeMap::new();
    for last in 0..form.count() {
        while let Some(found) = RULES.iter().find_map(|rule| rule(&form, last).filter(|found| form.is_closed(found, last))) {
            let mut gone = found.gone.clone();
            gone.sort_unstable();
            let Some(name) = form.step(gone[0]).map(|step| step.name.clone()) else { break };
            let names = gone.iter().flat_map(|index| match (parts.remove(index), form.step(*index)) {
                (Some(parts), _) => parts,
                (None, Some(step)) => vec![step.op.rules().name()],
                (None, None) => vec![],
            });
            let names = names.collect();
            parts.insert(last, names);
            form.replace(last, name, found);
        }
    }
    let together = parts.iter().filter_map(|(&index, parts)| form.step(index).map(|step| (step, parts)));
    let notes: Vec<String> =
        together.map(|(step, parts)| format!("{} {:?} put together of {}", step.op.rules().name(), step.name, parts.join(", "))).collect();
    network.steps = form.into_steps();
    network.notes.extend(notes);
}
