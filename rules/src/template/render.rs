//! Rendering of checked templates.

use super::functions::{Body, Function, check_argument};
use super::syntax::{Base, Branch, Command, Operand, Piece, Pipeline, What};
use super::value::Value;
use super::{Context, RENDERED_BYTES_MAX, Template, TemplateError};

/// Pieces that one rendering may come by, those in loops each time.
const PIECES_MAX: usize = 100_000;

/// How deep templates may insert each other.
const INSERTS_MAX: usize = 64;

/// Queries that one rendering may ask.
const QUERIES_MAX: usize = 64;

pub(super) fn render(template: &Template, context: &Context<'_>) -> Result<String, TemplateError> {
    let mut renderer = Renderer::new(template, context);
    renderer.pieces(&template.pieces)?;
    Ok(renderer.out)
}

/// How a list of pieces came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Through,
    Break,
    Continue,
}

pub(super) struct Renderer<'a> {
    template: &'a Template,
    pub context: &'a Context<'a>,
    /// Innermost last; the first is `$`.
    variables: Vec<(String, Value)>,
    dot: Value,
    out: String,
    pieces_left: usize,
    inserts: usize,
    queries_left: usize,
}

impl<'a> Renderer<'a> {
    fn new(template: &'a Template, context: &'a Context<'a>) -> Self {
        let named = [
            ("", Value::Root),
            ("labels", Value::labels(context.labels)),
            ("externalLabels", Value::labels(context.external_labels)),
            ("externalURL", Value::Text(context.external_url.to_owned())),
            ("value", Value::Float(context.value)),
        ];
        Self {
            template,
            context,
            variables: named.map(|(name, value)| (name.to_owned(), value)).into(),
            dot: Value::Root,
            out: String::new(),
            pieces_left: PIECES_MAX,
            inserts: 0,
            queries_left: QUERIES_MAX,
        }
    }

    /// What is declared within is gone afterwards.
    fn pieces(&mut self, pieces: &[Piece]) -> Result<Flow, TemplateError> {
        let in_sight = self.variables.len();
        let mut flow = Flow::Through;
        for piece in pieces {
            flow = self.piece(piece)?;
            if flow != Flow::Through {
                break;
            }
        }
        self.variables.truncate(in_sight);
        Ok(flow)
    }

    fn piece(&mut self, piece: &Piece) -> Result<Flow, TemplateError> {
        self.pieces_left = self.pieces_left.checked_sub(1).ok_or_else(|| {
            TemplateError::new(0, 1, format!("the template goes on for more than {PIECES_MAX} actions"))
        })?;
        match piece {
            Piece::Text(text) => self.push(text, 0)?,
            Piece::Show(pipeline) => {
                let text = match self.pipeline(pipeline)? {
                    Value::Root => self.root(),
                    value => value.text(),
                };
                self.push(&text, pipeline.commands[0].at)?;
            }
            Piece::Declare(name, pipeline) => {
                let value = self.pipeline(pipeline)?;
                self.variables.push((name.clone(), value));
            }
            Piece::Assign(name, pipeline) => {
                let value = self.pipeline(pipeline)?;
                if let Some((_, known)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                    *known = value;
                }
            }
            Piece::Choose { branches, otherwise, dot } => return self.choose(branches, otherwise, *dot),
            Piece::Range { names, over, body, otherwise } => {
                let elements = self.pipeline(over)?.elements();
                let elements = elements.map_err(|wrong| TemplateError::new(over.at(), over.length(), wrong))?;
                if elements.is_empty() {
                    return self.pieces(otherwise);
                }
                self.each((&names.0, &names.1), elements, body)?;
            }
            Piece::Insert { name, data, at, length } => {
                let data = data.as_ref().map_or(Ok(Value::Nil), |data| self.pipeline(data))?;
                self.insert(name, data).map_err(|error| located(error, *at, *length))?;
            }
            Piece::Break => return Ok(Flow::Break),
            Piece::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Through)
    }

    /// What the whole template was given, as Go shows a structure.
    fn root(&self) -> String {
        let Context { labels, external_labels, external_url, value, .. } = self.context;
        let [labels, external_labels] = [labels, external_labels].map(|labels| Value::labels(labels).text());
        format!("{{{labels} {external_labels} {external_url} {}}}", Value::Float(*value).text())
    }

    fn push(&mut self, text: &str, at: usize) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > RENDERED_BYTES_MAX {
            let wrong = format!("the rendered text is longer than {RENDERED_BYTES_MAX} bytes");
            return Err(TemplateError::new(at, 1, wrong));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn choose(&mut self, branches: &[Branch], otherwise: &[Piece], dot: bool) -> Result<Flow, TemplateError> {
        let in_sight = self.variables.len();
        let mut rendered = None;
        for Branch { name, condition, pieces } in branches {
            let value = self.pipeline(condition)?;
            self.variables.extend(name.iter().map(|name| (name.clone(), value.clone())));
            if value.is_true() {
                rendered = Some(if dot { self.under(value, pieces)? } else { self.pieces(pieces)? });
                break;
            }
        }
        let flow = rendered.map_or_else(|| self.pieces(otherwise), Ok);
        self.variables.truncate(in_sight);
        flow
    }

    /// Renders with another dot.
    fn under(&mut self, dot: Value, pieces: &[Piece]) -> Result<Flow, TemplateError> {
        let before = std::mem::replace(&mut self.dot, dot);
        let flow = self.pieces(pieces);
        self.dot = before;
        flow
    }

    fn each(
        &mut self,
        names: (&Option<String>, &Option<String>),
        elements: Vec<(Value, Value)>,
        body: &[Piece],
    ) -> Result<(), TemplateError> {
        let in_sight = self.variables.len();
        for (place, element) in elements {
            self.variables.extend(names.0.iter().map(|name| (name.clone(), place.clone())));
            self.variables.extend(names.1.iter().map(|name| (name.clone(), element.clone())));
            let flow = self.under(element, body)?;
            self.variables.truncate(in_sight);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// Renders a defined template, which sees its data and nothing else.
    fn insert(&mut self, name: &str, data: Value) -> Result<(), TemplateError> {
        let template = self.template;
        let Some(pieces) = template.definitions.get(name) else {
            return Err(TemplateError::new(0, 1, format!("template \"{name}\" not defined")));
        };
        if self.inserts == INSERTS_MAX {
            let wrong = format!("templates insert each other more than {INSERTS_MAX} deep");
            return Err(TemplateError::new(0, 1, wrong));
        }
        self.inserts += 1;
        let before = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        let flow = self.under(data, pieces);
        self.variables = before;
        self.inserts -= 1;
        match flow {
            Ok(_) => Ok(()),
            Err(error) if error.within.is_some() => Err(error),
            Err(error) => Err(TemplateError { within: Some(name.to_owned()), ..error }),
        }
    }

    /// As `template`, but the text is a value: `tmpl "name" data`.
    pub fn inserted(&mut self, name: &str, data: Value) -> Result<String, String> {
        let before = std::mem::take(&mut self.out);
        let inserted = self.insert(name, data);
        let text = std::mem::replace(&mut self.out, before);
        inserted.map(|()| text).map_err(|error| error.message)
    }

    pub fn query(&mut self, expr: &str) -> Result<Value, String> {
        let Some(query) = self.context.query else {
            return Err(format!("query \"{expr}\": there are no samples to ask here"));
        };
        if self.queries_left == 0 {
            return Err(format!("query \"{expr}\": a template asks at most {QUERIES_MAX} times"));
        }
        self.queries_left -= 1;
        query(expr).map(Value::Samples)
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Value, TemplateError> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, piped)?);
        }
        Ok(piped.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &Command, piped: Option<Value>) -> Result<Value, TemplateError> {
        match &command.what {
            What::Value(Operand { base: Base::Nil, .. }) => {
                Err(TemplateError::new(command.at, command.length, "nil is not a command"))
            }
            What::Value(operand) => self.operand(operand, command),
            What::Method(operands) => self.method(operands, command, piped),
            What::Call(function, arguments) => {
                let of_name = |wrong| TemplateError::new(command.at, function.name.len(), wrong);
                function.check_count(arguments.len() + usize::from(piped.is_some())).map_err(of_name)?;
                if let Body::Chosen { wanted } = function.body {
                    return self.chosen(wanted, arguments, command, piped);
                }
                let mut values = Vec::with_capacity(arguments.len() + 1);
                for (place, operand) in arguments.iter().enumerate() {
                    let value = self.operand(operand, command)?;
                    check_argument(function.name, place, &value, Some(operand), of_name)?;
                    values.push(value);
                }
                if let Some(piped) = piped {
                    check_argument(function.name, values.len(), &piped, None, of_name)?;
                    values.push(piped);
                }
                self.call(function, &values).map_err(|wrong| {
                    let wrong = format!("error calling {}: {wrong}", function.name);
                    TemplateError::new(command.at, command.length, wrong)
                })
            }
        }
    }

    fn method(
        &mut self,
        operands: &[Operand],
        command: &Command,
        piped: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let (receiver, arguments) = operands.split_first().expect("a method has a receiver");
        let (last, fields) = receiver.fields.split_last().expect("a method is a field");
        let mut value = self.base(&receiver.base, command)?;
        for field in fields {
            value = value.field(&field.name, self.context).map_err(|wrong| receiver.wrong(wrong))?;
        }
        let given = arguments.len() + usize::from(piped.is_some());
        let parameters = value.parameters(&last.name);
        if let Some(wanted) = parameters.map(<[_]>::len).filter(|wanted| *wanted != given) {
            return Err(receiver.wrong(format!("wrong number of args for {}: want {wanted} got {given}", last.name)));
        }
        let mut values = Vec::with_capacity(given);
        for (argument, parameter) in arguments.iter().zip(parameters.unwrap_or_default()) {
            let value = self.operand(argument, command)?;
            parameter.check(&value, argument.is_constant()).map_err(|wrong| argument.wrong(wrong))?;
            values.push(value);
        }
        values.extend(piped);
        value.method(&last.name, &values, self.context).map_err(|wrong| receiver.wrong(wrong))
    }

    fn call(&mut self, function: &Function, values: &[Value]) -> Result<Value, String> {
        match function.body {
            Body::Plain(body) => body(values),
            Body::Asking(body) => body(self, values),
            // Both are known by their arguments alone; they are taken up where those are not yet reckoned.
            Body::Chosen { .. } => Ok(values.last().cloned().unwrap_or(Value::Nil)),
        }
    }

    /// `or` gives the first true argument, `and` the first false one, else the last; those behind are not looked at.
    fn chosen(
        &mut self,
        wanted: bool,
        arguments: &[Operand],
        command: &Command,
        piped: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let mut last = Value::Nil;
        for operand in arguments {
            last = self.operand(operand, command)?;
            if last.is_true() == wanted {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    fn operand(&mut self, operand: &Operand, command: &Command) -> Result<Value, TemplateError> {
        let mut value = self.base(&operand.base, command)?;
        for field in &operand.fields {
            let taken = value.field(&field.name, self.context);
            value = taken.map_err(|wrong| operand.wrong(wrong))?;
        }
        Ok(value)
    }

    fn base(&mut self, base: &Base, command: &Command) -> Result<Value, TemplateError> {
        Ok(match base {
            Base::Root => Value::Root,
            Base::Dot => self.dot.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map_or(Value::Nil, |(_, value)| value.clone())
            }
            Base::Text(text, _) => Value::Text(text.clone()),
            Base::Int(value) => Value::Int(*value),
            Base::Float(value) => Value::Float(*value),
            Base::Bool(value) => Value::Bool(*value),
            Base::Nil => Value::Nil,
            Base::Nested(pipeline) => self.pipeline(pipeline)?,
            Base::Call(function, at) => self
                .call(function, &[])
                .map_err(|wrong| TemplateError::new(*at, function.name.len(), wrong))
                .map_err(|error| located(error, command.at, command.length))?,
        })
    }
}

/// Puts an error that has no place of its own to the command at hand.
fn located(error: TemplateError, at: usize, length: usize) -> TemplateError {
    if error.at == 0 { TemplateError { at, length, pointed: at, ..error } } else { error }
}
