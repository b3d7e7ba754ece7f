//! Values that a file lays out anew by places in memory, as torch's as_strided: the elements of all images behind one another, and a Gather
//! at places that it works out as image * step + a place within the image.

use std::rc::Rc;

use super::{Form, Item, Loader, MAX_KNOWN};
use crate::network::broadcast;
use crate::network::graph::{Attribute, Node};
use crate::network::ops::{Gather, Reshape};
use crate::network::reading;
use crate::network::shape_arithmetic::Dim;

/// Integers for each image n: `n * step + within`, of this shape, whose first axis is the batch, written 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    step: i64,
    within: Vec<i64>,
    shape: Vec<usize>,
}

impl Loader<'_> {
    /// Lays values out by places, and works places out: true where the node was that.
    pub fn strided(&mut self, node: &Node) -> Result<bool, String> {
        if !node.domain.is_empty() || self.network.fixed_batch.is_some() {
            return Ok(false);
        }
        let first = node.inputs.first().and_then(|&input| self.item(input)).cloned();
        let second = node.inputs.get(1).and_then(|&input| self.item(input)).cloned();
        let item = match (node.op_type.as_str(), first, second) {
            ("Reshape", Some(Item::Activation(value, Form::Plain)), _) if self.lays_flat(node) => Some(Item::Flat(value)),
            ("Gather", Some(Item::Flat(value)), Some(Item::Places(places))) => self.at_places(node, value, &places)?,
            ("Range", ..) => self.images(node)?.map(|places| Item::Places(Rc::new(places))),
            (_, Some(Item::Places(places)), _) => self.moved_places(node, &places, 1)?,
            (_, _, Some(Item::Places(places))) => self.moved_places(node, &places, 0)?,
            _ => None,
        };
        let (Some(item), Some(&Some(output))) = (item, node.outputs.first()) else { return Ok(false) };
        self.items[output] = Some(item);
        Ok(true)
    }

    /// Whether a Reshape makes one axis of all images, which only Gathers read.
    fn lays_flat(&self, node: &Node) -> bool {
        let reads = |other: &&Node| other.inputs.contains(&node.outputs[0]);
        let mut readers = self.graph.nodes.iter().filter(reads).peekable();
        self.integers(node, 1).is_some_and(|(target, _)| target == [-1])
            && readers.peek().is_some()
            && readers.all(|reader| reader.op_type == "Gather" && reader.inputs.first() == node.outputs.first())
    }

    /// An input's integers and their shape, where they are known and do not depend on the batch.
    fn integers(&self, node: &Node, index: usize) -> Option<(Vec<i64>, Vec<usize>)> {
        match self.item(*node.inputs.get(index)?)? {
            Item::Constant(constant, _) => Some((constant.integers()?, constant.shape.clone())),
            Item::Known(known) => Some((known.as_fixed()?, known.shape.clone())),
            _ => None,
        }
    }

    /// A Range over the images of the batch.
    fn images(&self, node: &Node) -> Result<Option<Places>, String> {
        let limit = node.inputs.get(1).and_then(|&input| self.item(input));
        let whole = matches!(limit, Some(Item::Known(known)) if known.values == [Dim::BATCH]);
        let [start, delta] = [0, 2].map(|index| self.integers(node, index).map(|(values, _)| values));
        let fits = whole && start.is_some_and(|start| start == [0]) && delta.is_some_and(|delta| delta == [1]);
        Ok(fits.then(|| Places { step: 1, within: vec![0], shape: vec![1] }))
    }

    /// Arithmetic on places; `other` is the input beside them.
    fn moved_places(&self, node: &Node, places: &Places, other: usize) -> Result<Option<Item>, String> {
        let too_large = || "works out places beyond 64 bits".to_owned();
        let made = match (node.op_type.as_str(), self.integers(node, other)) {
            ("Cast" | "Identity", _) => places.clone(),
            ("Unsqueeze", _) => {
                let axes = match (self.integers(node, 1), node.attributes.get("axes")) {
                    (Some((axes, _)), _) => axes,
                    (None, Some(Attribute::Ints(axes))) => axes.clone(),
                    _ => return Ok(None),
                };
                let rank = places.shape.len() + axes.len().min(super::MAX_AXES);
                let axes: Vec<usize> = axes.iter().map(|&axis| reading::axis(axis, rank)).collect::<Result<_, _>>()?;
                let mut rest = places.shape.iter().copied();
                let shape: Vec<usize> = (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { rest.next().unwrap_or(1) }).collect();
                if axes.contains(&0) || rest.next().is_some() {
                    return Err("adds an axis before the batch to places".to_owned());
                }
                Places { shape, ..places.clone() }
            }
            ("Mul", Some((values, _))) if values.len() == 1 => {
                let within = places.within.iter().map(|place| place.checked_mul(values[0])).collect::<Option<_>>().ok_or_else(too_large)?;
                Places { step: places.step.checked_mul(values[0]).ok_or_else(too_large)?, within, ..places.clone() }
            }
            ("Add", Some((values, shape))) => {
                let joined = broadcast::shape(&places.shape, &shape)?;
                let count = joined.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).filter(|&count| count <= MAX_KNOWN);
                let count = count.ok_or_else(|| format!("works out over {MAX_KNOWN} places"))?;
                if joined.len() != places.shape.len() || joined[0] != 1 {
                    return Err("adds other numbers for each image to places".to_owned());
                }
                let sum = |index: usize| {
                    let [a, b] =
                        [(&places.within, &places.shape), (&values, &shape)].map(|(values, shape)| values[source(index, &joined, shape)]);
                    a.checked_add(b)
                };
                let within = (0..count).map(sum).collect::<Option<_>>().ok_or_else(too_large)?;
                Places { step: places.step, within, shape: joined }
            }
            _ => return Ok(None),
        };
        Ok(Some(Item::Places(Rc::new(made))))
    }

    /// The elements of each image at these places.
    fn at_places(&mut self, node: &Node, value: usize, places: &Places) -> Result<Option<Item>, String> {
        let elements: usize = self.network.values[value].shape.iter().product();
        let inside = |&place: &i64| usize::try_from(place).ok().filter(|&place| place < elements);
        let indices: Option<Vec<usize>> = places.within.iter().map(inside).collect();
        let along = matches!(node.attributes.get("axis"), None | Some(Attribute::Int(0)));
        let Some(indices) = indices.filter(|_| along && places.step == elements as i64) else {
            return Err("reads places of one image in another".to_owned());
        };
        let in_order = indices.len() == elements && indices.iter().copied().eq(0..elements);
        let row = if in_order {
            value
        } else {
            let flat = self.reshaped(&node.name, value, vec![1, elements])?;
            let shape = vec![indices.len()];
            self.step(&node.name, Gather { axis: 1, indices, shape }.into(), vec![flat])?[0]
        };
        let shape = places.shape.clone();
        let made = if self.network.values[row].shape == shape {
            row
        } else {
            self.step(&node.name, Reshape { shape, unchanged: false }.into(), vec![row])?[0]
        };
        Ok(Some(Item::Activation(made, Form::Plain)))
    }
}

/// Where broadcasting finds the element of a tensor for an element of what it is broadcast to.
fn source(mut index: usize, to: &[usize], from: &[usize]) -> usize {
    let (mut place, mut stride) = (0, 1);
    for back in 1..=to.len() {
        let at = index % to[to.len() - back];
        index /= to[to.len() - back];
        if back <= from.len() {
            let size = from[from.len() - back];
            place += if size == 1 { 0 } else { at * stride };
            stride *= size;
        }
    }
    place
}
