//! `--terms`: each node's share of the output, as a table and as a bar chart.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::{self, Bar};
use crate::engine::TermSite;
use crate::error::{Error, Result};
use crate::stills;
use crate::tensor_file;

/// Bars of the chart; the smallest others are one bar together.
const MOST_BARS: usize = 60;

/// The table and the chart to be.
#[derive(Debug)]
pub struct Terms {
    table: PathBuf,
    chart: PathBuf,
    text: String,
    /// Names of the nodes, and the sums of their signed shares over the images.
    shares: Vec<(String, f64)>,
    images: usize,
}

impl Terms {
    /// Nothing is written yet. `taken` are files that are read or written otherwise.
    ///
    /// # Errors
    /// Kind::Usage where FILE is the chart's own name, or one of the two is taken, or is there and may not be replaced.
    pub fn plan(table: &Path, taken: &[&Path], replace: bool) -> Result<Self> {
        let chart = table.with_extension("png");
        if chart == table {
            return Err(Error::usage(format!("--terms {}: the chart is written there; give FILE.csv", table.display())));
        }
        let same = |one: &Path, other: &Path| {
            one == other || fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
        };
        if let Some(file) = [table, &chart].into_iter().find(|file| taken.iter().any(|taken| same(file, taken))) {
            return Err(Error::usage(format!("--terms {}: {} would be written over; give another name", table.display(), file.display())));
        }
        if let Some(file) = [table, &chart].into_iter().find(|file| file.exists() && !replace) {
            return Err(Error::usage(format!("{}: is there already; --force replaces it", file.display())));
        }
        let text = "image,node,operator,spatial,term,share\n".to_owned();
        Ok(Terms { table: table.to_owned(), chart, text, shares: Vec::new(), images: 0 })
    }

    /// Adds an image's terms, one a site.
    pub fn add(&mut self, image: &str, sites: &[TermSite], terms: &[f64]) {
        self.shares.resize_with(sites.len(), Default::default);
        let total: f64 = terms.iter().map(|term| term.abs()).sum();
        for ((site, &term), (name, sum)) in sites.iter().zip(terms).zip(&mut self.shares) {
            let share = if total > 0.0 { term / total } else { 0.0 };
            let spatial = if site.spatial { "yes" } else { "no" };
            self.text += &format!("{},{},{},{spatial},{term:e},{:e}\n", field(image), field(&site.node), site.op, share.abs());
            *name = format!("{} ({})", site.node, site.op);
            *sum += share;
        }
        self.images += 1;
    }

    /// Writes both; each appears whole or not at all.
    ///
    /// # Errors
    /// Kind::Runtime where the folder cannot be written or the disk is full.
    pub fn write(&self, network: &str) -> Result<()> {
        tensor_file::write_whole(&self.table, self.text.as_bytes())?;
        let title = match self.images {
            1 => format!("{network}: each node's share of the output"),
            images => format!("{network}: each node's share of the output, mean of {images} pictures"),
        };
        stills::write_png(&self.chart, &chart::bars(&title, &self.bars()))
    }

    /// The largest shares, in the network's order, and the others together.
    fn bars(&self) -> Vec<Bar> {
        let images = self.images.max(1) as f64;
        let bars = self.shares.iter().map(|(name, sum)| Bar { name: name.clone(), share: sum / images });
        let mut by_size: Vec<(usize, Bar)> = bars.enumerate().filter(|(_, bar)| bar.share != 0.0).collect();
        by_size.sort_by(|a, b| b.1.share.abs().total_cmp(&a.1.share.abs()));
        let others = by_size.split_off(MOST_BARS.min(by_size.len()));
        by_size.sort_by_key(|&(index, _)| index);
        let mut bars: Vec<Bar> = by_size.into_iter().map(|(_, bar)| bar).collect();
        if !others.is_empty() {
            bars.push(Bar { name: format!("{} others", others.len()), share: others.iter().map(|(_, bar)| bar.share).sum() });
        }
        bars
    }
}

/// A field of a table with commas: in quotes where it holds one, a quote or a line's end.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn site(node: &str) -> TermSite {
        TermSite { node: node.to_owned(), op: "Conv", spatial: true }
    }

    #[test]
    fn a_line_a_node_and_the_shares_of_all() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("terms.csv");
        let mut terms = Terms::plan(&path, &[], false).expect("planned");
        terms.add("a, \"b\".png", &[site("one"), site("two")], &[3.0, -1.0]);
        terms.write("net").expect("written");
        let text = fs::read_to_string(&path).expect("the table");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "image,node,operator,spatial,term,share");
        assert_eq!(lines[1..], ["\"a, \"\"b\"\".png\",one,Conv,yes,3e0,7.5e-1", "\"a, \"\"b\"\".png\",two,Conv,yes,-1e0,2.5e-1"]);
        assert!(stills::read(&path.with_extension("png")).is_ok());
        assert_eq!(Terms::plan(&path, &[], false).expect_err("there already").kind(), Kind::Usage);
        let picture = folder.path().join("./terms.png");
        let error = Terms::plan(&path, &[&picture], true).expect_err("the chart would replace a picture");
        assert!(error.to_string().contains("terms.png would be written over"), "{error}");
        assert_eq!(Terms::plan(&path.with_extension("png"), &[], true).expect_err("the chart's name").kind(), Kind::Usage);
    }

    #[test]
    fn many_nodes_are_drawn_as_the_largest_and_the_rest() {
        let sites: Vec<TermSite> = (0..100).map(|index| site(&index.to_string())).collect();
        let terms: Vec<f64> = (0..100).map(f64::from).collect();
        let mut all = Terms::plan(Path::new("no/such/folder/terms.csv"), &[], false).expect("planned");
        all.add("0", &sites, &terms);
        all.add("1", &sites, &terms);
        let bars = all.bars();
        assert_eq!(
            (bars.len(), bars[0].name.as_str(), bars[60].name.as_str()),
            (61, "40 (Conv)", "39 others"),
            "a share of zero is no bar"
        );
        assert!((bars.iter().map(|bar| bar.share).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
