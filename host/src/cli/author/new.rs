//! `nozzle plugin new`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::AuthorError;
use crate::{
    author::{Language, Template, write_project},
    cli::speak::say,
};

/// What `nozzle plugin new` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct NewArgs {
    /// The folder: it is made, or must be empty.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The language.
    #[arg(long, value_name = "LANG", value_parser = PossibleValuesParser::new(Language::ALL.map(Language::name)))]
    lang: String,
    /// What the plugin begins with: a call a batch, a call a record, or a call a batch with a verdict for each record.
    #[arg(long, value_name = "TEMPLATE", default_value = "per-batch", value_parser = PossibleValuesParser::new(Template::ALL.map(Template::name)))]
    template: String,
    /// The project's name. Default: that of the folder.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Writes a project.
pub(super) fn new(args: &NewArgs) -> Result<(), AuthorError> {
    let mut languages = Language::ALL.into_iter();
    let language = languages.find(|language| language.name() == args.lang);
    let mut templates = Template::ALL.into_iter();
    let template = templates.find(|template| template.name() == args.template);
    let (Some(language), Some(template)) = (language, template) else {
        unreachable!("clap takes no other names");
    };
    let written = write_project(language, template, &args.folder, args.name.as_deref());
    let files = written.map_err(AuthorError::Project)?;
    let folder = args.folder.display();
    say(&format!(
        "`{folder}` has {files} files; `{folder}/README.md` says how it is built and tested"
    ));
    Ok(())
}
