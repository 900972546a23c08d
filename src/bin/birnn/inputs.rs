//! A model's inputs from files, and the parts of a batch.

use crate::array_file::{self, Content};
use crate::model_args::ModelArgs;
use anyhow::{Context, Result, bail};
use birnn::{Error, Inputs, Model};
use clap::Args;
use clap::error::ErrorKind;
use ndarray::{ArrayD, Axis, Slice};
use std::ops::Range;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct InputArgs {
    /// The model's inputs in its own order, which `birnn inspect` shows: .npy, .npz, .csv or
    /// .parquet files, or - for one of these from standard input.
    ///
    /// Sequences are [batch, timesteps, features], ids for an Embedding and masks [batch,
    /// timesteps], initial states [batch, units] and other inputs [batch, features]; of any float,
    /// integer or bool dtype. An .npz file holds one array, or all inputs by their names, or as
    /// arr_0, arr_1 and so on in the model's order; x.npz:name is one of its arrays. A line of a
    /// .csv file is a timestep of a sequence, and an empty line stands between sequences; of an
    /// input of two axes a line is a row of the batch. So is a row of a .parquet file of numbers;
    /// where its columns are lists, a row is a row of the batch. x.parquet:name is one of its
    /// columns.
    #[arg(conflicts_with = "named", value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// An input by its name, which `birnn inspect` shows, instead of by its place; once for each
    /// input of the model, in any order.
    #[arg(long = "input", id = "named", value_name = "NAME=INPUT", value_parser = named_input)]
    named: Vec<NamedInput>,
}

#[derive(Clone, Debug)]
struct NamedInput {
    name: String,
    path: PathBuf,
}

fn named_input(text: &str) -> Result<NamedInput, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(NamedInput { name: name.to_string(), path: path.into() })
        }
        _ => Err("an input's name, = and its file are needed, as in x=x.npy".to_string()),
    }
}

/// The arrays of a run, with the names of their inputs where they are given by name.
pub struct Arrays<F> {
    list: Vec<(Option<String>, ArrayD<F>)>,
}

impl<F: Copy> Arrays<F> {
    pub fn new(list: Vec<(Option<String>, ArrayD<F>)>) -> Arrays<F> {
        Arrays { list }
    }

    /// All rows of the batch.
    pub fn inputs(&self) -> birnn::Result<Inputs<'_, F>> {
        self.fold(|array| array.view())
    }

    /// These rows of the batch.
    pub fn rows_of_inputs(&self, rows: Range<usize>) -> birnn::Result<Inputs<'_, F>> {
        self.fold(|array| array.slice_axis(Axis(0), Slice::from(rows.clone())))
    }

    fn fold<'a>(
        &'a self,
        view: impl Fn(&'a ArrayD<F>) -> ndarray::ArrayViewD<'a, F>,
    ) -> birnn::Result<Inputs<'a, F>> {
        let Some((first, rest)) = self.list.split_first() else {
            return Err(Error::Graph("no input was given".into()));
        };
        let start = match first {
            (Some(name), array) => Inputs::named(name, view(array)),
            (None, array) => Inputs::new(view(array)),
        };
        Ok(rest.iter().fold(start, |inputs, (name, array)| match name {
            Some(name) => inputs.input_named(name, view(array)),
            None => inputs.input(view(array)),
        }))
    }

    /// The rows of the batch; `None` where the arrays don't agree.
    pub fn rows(&self) -> Option<usize> {
        let mut rows = self.list.iter().map(|(_, array)| array.shape().first().copied());
        let first = rows.next().flatten()?;
        rows.all(|other| other == Some(first)).then_some(first)
    }

    /// The timesteps of the first array that has three axes or more, or else two.
    pub fn timesteps(&self) -> Option<usize> {
        let axes = |least: usize| {
            let long = |(_, array): &&(Option<String>, ArrayD<F>)| array.ndim() >= least;
            self.list.iter().find(long).map(|(_, array)| array.shape()[1])
        };
        axes(3).or_else(|| axes(2))
    }

    pub fn map<G>(&self, to: impl Fn(F) -> G) -> Arrays<G> {
        let each = |(name, array): &(Option<String>, ArrayD<F>)| (name.clone(), array.mapv(&to));
        Arrays { list: self.list.iter().map(each).collect() }
    }
}

impl InputArgs {
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.named.is_empty()
    }

    /// Ends the program, as clap does, where no input is given.
    pub fn require(&self, model: &Model) {
        if self.is_empty() {
            let summary = model.summary();
            let rows = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
            let inputs: Vec<_> = rows.map(|row| format!("{} {}", row.name, row.shapes())).collect();
            let message = format!(
                "the model's inputs are needed, {}: files in this order, or --input NAME=INPUT for \
                 each\n",
                inputs.join(", ")
            );
            clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit();
        }
    }

    /// Reads the files.
    pub fn read(&self, file: &ModelArgs, model: &Model) -> Result<Arrays<f32>> {
        let from_stdin = self.files().iter().filter(|(_, path)| path.as_os_str() == "-").count();
        if from_stdin > 1 {
            bail!(
                "- stands for standard input, which holds one file: it is given {from_stdin} times"
            );
        }
        if !self.named.is_empty() {
            self.check_names(&model.input_names(), &model.likely_ties())
                .with_context(|| file.path().display().to_string())?;
        }
        let wanted = Wanted::of(model);
        if let [path] = &self.inputs[..] {
            let axes = wanted.0.first().map(|(_, axes)| *axes);
            let list = match array_file::read(path)? {
                Content::Several(arrays) => whole_archive(arrays, path, &wanted),
                Content::Columns(columns) if columns.has_all(wanted.names()) => {
                    let column = |(name, axes): &(String, usize)| {
                        Ok((Some(name.clone()), columns.column(name, *axes)?))
                    };
                    wanted.0.iter().map(column).collect()
                }
                content => one(content, path, axes).map(|array| vec![(None, array)]),
            };
            return list.map(Arrays::new).with_context(|| path.display().to_string());
        }
        let read = |(place, (name, path)): (usize, (Option<&str>, &Path))| {
            let axes = match name {
                Some(name) => wanted.axes_of(name),
                None => wanted.0.get(place).map(|(_, axes)| *axes),
            };
            let array = one(array_file::read(path)?, path, axes);
            array
                .map(|array| (name.map(str::to_string), array))
                .with_context(|| path.display().to_string())
        };
        let list = self.files().into_iter().enumerate().map(read).collect::<Result<_>>()?;
        Ok(Arrays { list })
    }

    /// The files of the inputs, with their names where they are given by name.
    fn files(&self) -> Vec<(Option<&str>, &Path)> {
        let named = self.named.iter().map(|input| (Some(input.name.as_str()), &*input.path));
        self.inputs.iter().map(|path| (None, path.as_path())).chain(named).collect()
    }

    /// That each of the model's inputs is given once.
    fn check_names(&self, known: &[String], ties: &[(String, String)]) -> birnn::Result<()> {
        let wrong = |name: &str, reason: String| {
            Err(Error::InputName { name: name.to_string(), reason, known: known.to_vec() })
        };
        let given = |name: &str| self.named.iter().filter(|input| input.name == name).count();
        for NamedInput { name, .. } in &self.named {
            if !known.contains(name) {
                return wrong(name, "isn't one of the model's".to_string());
            }
            if given(name) > 1 {
                return wrong(name, "is given twice".to_string());
            }
        }
        match known.iter().find(|name| given(name) == 0) {
            None => Ok(()),
            Some(missing) => {
                let instead = match ties.iter().find(|(input, _)| input == missing) {
                    Some((input, output)) => {
                        format!(", or begin with zeros and hand it on with --tie {input}={output}")
                    }
                    None => String::new(),
                };
                wrong(missing, format!("is missing: give it with --input NAME=INPUT{instead}"))
            }
        }
    }

    /// The files at work, for an error that names none.
    pub fn describe(&self, file: &ModelArgs) -> String {
        let inputs: Vec<_> =
            self.files().iter().map(|(_, path)| path.display().to_string()).collect();
        match inputs.is_empty() {
            true => file.path().display().to_string(),
            false => format!("{} on {}", file.path().display(), inputs.join(", ")),
        }
    }

    /// An error of a run with the files at work, and with what to do where an array lacks the
    /// batch axis.
    pub fn explain(
        &self,
        error: Error,
        file: &ModelArgs,
        model: &Model,
        arrays: &Arrays<f32>,
    ) -> anyhow::Error {
        let hint = match &error {
            Error::InputShape { input, .. } if lacks_batch(input, model, arrays) => {
                "; add a batch axis: x[None]"
            }
            _ => "",
        };
        match hint {
            "" => anyhow::Error::new(error).context(self.describe(file)),
            hint => anyhow::anyhow!("{}: {error}{hint}", self.describe(file)),
        }
    }
}

/// Of each input of the model its name, and how many axes its array has.
struct Wanted(Vec<(String, usize)>);

impl Wanted {
    fn of(model: &Model) -> Wanted {
        let summary = model.summary();
        let rows = summary.rows.into_iter().filter(|row| row.class_name == "InputLayer");
        let axes = |shapes: &[Vec<Option<usize>>]| shapes.first().map_or(0, Vec::len);
        Wanted(rows.map(|row| (row.name, axes(&row.output_shapes))).collect())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Arguments that give each input an array of an archive: the one of its name, or else the
    /// next one of as many axes that no other input has.
    fn arguments(&self, arrays: &[(String, ArrayD<f32>)], path: &Path) -> String {
        let mut left: Vec<_> = arrays.iter().collect();
        let mut arguments = String::new();
        for (input, axes) in &self.0 {
            let named = left.iter().position(|(name, _)| name == input);
            let fits = |(name, array): &&(String, ArrayD<f32>)| {
                array.ndim() == *axes && self.axes_of(name).is_none()
            };
            let place = named.or_else(|| left.iter().position(fits));
            let array = place.map_or("ARRAY", |place| &left.remove(place).0);
            arguments += &format!(" --input {input}={}:{array}", path.display());
        }
        arguments
    }

    fn axes_of(&self, name: &str) -> Option<usize> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, axes)| *axes)
    }
}

/// The array of a file that has to hold one.
fn one(content: Content, path: &Path, axes: Option<usize>) -> Result<ArrayD<f32>> {
    match content {
        Content::Array(array) => Ok(array),
        // A model without such an input says so itself.
        Content::Table(table) => table.array(axes.unwrap_or(2)),
        Content::Columns(columns) => columns.array(axes.unwrap_or(2)),
        Content::Several(arrays) => bail!(
            "holds the arrays {}: say which one, as in {}:{}",
            names(&arrays),
            path.display(),
            arrays.first().map_or("x", |(name, _)| name)
        ),
    }
}

/// The inputs from an archive of several arrays: by their names, or where these say nothing, in
/// their order.
fn whole_archive(
    arrays: Vec<(String, ArrayD<f32>)>,
    path: &Path,
    wanted: &Wanted,
) -> Result<Vec<(Option<String>, ArrayD<f32>)>> {
    let is_there = |name: &String| arrays.iter().any(|(known, _)| known == name);
    if wanted.0.iter().all(|(name, _)| is_there(name)) {
        let is_input = |name: &str| wanted.axes_of(name).is_some();
        let given = arrays.into_iter().filter(|(name, _)| is_input(name));
        return Ok(given.map(|(name, array)| (Some(name), array)).collect());
    }
    let numbered = |(place, (name, _)): (usize, &(String, _))| *name == format!("arr_{place}");
    if arrays.len() == wanted.0.len() && arrays.iter().enumerate().all(numbered) {
        return Ok(arrays.into_iter().map(|(_, array)| (None, array)).collect());
    }
    let inputs: Vec<_> = wanted.names().collect();
    bail!(
        "holds the arrays {}, and the inputs of the model are {}: say which is which, as in{}",
        names(&arrays),
        inputs.join(", "),
        wanted.arguments(&arrays, path)
    )
}

fn names(arrays: &[(String, ArrayD<f32>)]) -> String {
    arrays.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether the array that an error calls `input "name"` has the shape of this input of the model
/// but for the batch.
fn lacks_batch(input: &str, model: &Model, arrays: &Arrays<f32>) -> bool {
    let summary = model.summary();
    let rows = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
    let Some((index, row)) =
        rows.enumerate().find(|(_, row)| input == format!("input {:?}", row.name))
    else {
        return false;
    };
    let named = arrays.list.iter().find(|(name, _)| name.as_deref() == Some(row.name.as_str()));
    let placed = arrays.list.get(index).filter(|(name, _)| name.is_none());
    let (Some((_, array)), Some([_, axes @ ..])) =
        (named.or(placed), row.output_shapes.first().map(Vec::as_slice))
    else {
        return false;
    };
    array.ndim() == axes.len()
        && array.shape().iter().zip(axes).all(|(n, axis)| axis.is_none_or(|axis| axis == *n))
}
