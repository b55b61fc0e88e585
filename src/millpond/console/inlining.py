"""
Small macros, put in where they are called.

A table of twenty rows calls some hundred macros, and a call costs several times what
the macro writes. So when a template is compiled, calls of the macros in `INLINED` are
replaced by what these consist of, with the arguments in their places. The templates say
what they would say without that, and mean the same.

What is put in may use a parameter several times, or not at all: so arguments are
expressions without effects, as all of ours are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

MACROS: Final = "macros.html"
INLINED: Final = frozenset(("text", "code", "cell", "fact", "badge"))
_CALLER: Final = "caller"


def find_macros(tree: nodes.Template) -> Mapping[str, nodes.Macro]:
    """Find the macros that are put in, in the template that has them."""
    found = {each.name: each for each in tree.find_all(nodes.Macro)}
    return {name: each for name, each in found.items() if name in INLINED}


def inline(tree: nodes.Template, macros: Mapping[str, nodes.Macro]) -> nodes.Template:
    """Put macros into a template that has imported them."""
    names = {
        each.target
        for each in tree.find_all(nodes.Import)
        if isinstance(each.template, nodes.Const) and each.template.value == MACROS
    }
    if names:
        _Inliner(names, macros).visit(tree)
    return tree


class _Inliner(NodeTransformer):
    def __init__(self, names: set[str], macros: Mapping[str, nodes.Macro]) -> None:
        self._names = names
        self._macros = macros

    def visit_CallBlock(self, node: nodes.CallBlock) -> Any:  # noqa: N802
        """Replace `{% call ui.cell(...) %}...{% endcall %}`."""
        self.generic_visit(node)
        macro = self._called(node.call)
        if macro is None or node.args:
            return node
        return _filled(macro, node.call, node.body)

    def visit_Output(self, node: nodes.Output) -> Any:  # noqa: N802
        """Replace `{{ ui.text(...) }}`."""
        self.generic_visit(node)
        written: list[nodes.Expr] = []
        for each in node.nodes:
            macro = self._called(each)
            body = [] if macro is None else _filled(macro, each, None)
            if macro is not None and all(isinstance(e, nodes.Output) for e in body):
                written += [expr for output in body for expr in output.nodes]  # type: ignore[attr-defined]
            else:
                written.append(each)
        node.nodes = written
        return node

    def _called(self, call: nodes.Expr) -> nodes.Macro | None:
        """Find the macro that is called, if it is one that can be put in."""
        if not (isinstance(call, nodes.Call) and isinstance(call.node, nodes.Getattr)):
            return None
        owner = call.node.node
        if not isinstance(owner, nodes.Name) or owner.name not in self._names:
            return None
        if call.dyn_args is not None or call.dyn_kwargs is not None:
            return None
        return self._macros.get(call.node.attr)


def _filled(
    macro: nodes.Macro, call: Any, inside: Sequence[nodes.Node] | None
) -> list[nodes.Node]:
    """Write out a call of a macro."""
    parameters = [each.name for each in macro.args]
    first_default = len(parameters) - len(macro.defaults)
    values = dict(zip(parameters[first_default:], macro.defaults, strict=True))
    values |= dict(zip(parameters, call.args, strict=False))
    values |= {each.key: each.value for each in call.kwargs}
    filler = _Filler(values, inside)
    # A node of its own each time: places in the source are kept in them.
    return filler.visit_all(_copied(macro.body))


class _Filler(NodeTransformer):
    """Puts arguments in place of parameters."""

    def __init__(
        self, values: Mapping[str, nodes.Expr], inside: Sequence[nodes.Node] | None
    ) -> None:
        self._values = values
        self._inside = inside

    def visit_all(self, body: Sequence[nodes.Node]) -> list[nodes.Node]:
        """Visit statements, each of which may become several."""
        found: list[nodes.Node] = []
        for each in body:
            visited = self.visit(each)
            found += visited if isinstance(visited, list) else [visited]
        return found

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        """Replace a parameter."""
        value = self._values.get(node.name)
        return node if value is None else _copied(value)

    def visit_Output(self, node: nodes.Output) -> Any:  # noqa: N802
        """Replace `{{ caller() }}` by what stands in the call."""
        parts: list[nodes.Node] = []
        written: list[nodes.Expr] = []
        for each in node.nodes:
            if _is_caller(each):
                if written:
                    parts.append(nodes.Output(written, lineno=node.lineno))
                parts += self._inside or ()
                written = []
            else:
                written.append(self.visit(each))
        if written:
            parts.append(nodes.Output(written, lineno=node.lineno))
        return parts


def _copied(value: Any) -> Any:
    """Copy nodes, and not the environment that each of them knows."""
    if isinstance(value, list):
        return [_copied(each) for each in value]
    if not isinstance(value, nodes.Node):
        return value
    made = copy.copy(value)
    for name in made.fields:
        setattr(made, name, _copied(getattr(made, name)))
    return made


def _is_caller(node: nodes.Expr) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == _CALLER
    )
