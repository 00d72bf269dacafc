"""One trace of a model as a surrogate: which layer was called with what, on which tensors sums are to be taken."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.interception import carry_mask, keep_mask
from tfopt.pathways.lowering import Lowered
from tfopt.pathways.nodes import INPUT, Edge, Node, Source, Trial, constant_in, is_data, tensor_key
from tfopt.pathways.plan import Plan
from tfopt.pathways.rules.activations import GATING, HOMOGENEOUS, around_zero
from tfopt.pathways.rules.registry import Call, exactly, rule_for
from tfopt.pathways.scales import common_scale, no_scale
from tfopt.pathways.unknown import are_added, between, trials, weight_trials
from tfopt.records.influence import Status

__all__ = ["Tracing"]

_OTHER_DTYPE = re.compile(r"float(16|32)|half|dtype", re.IGNORECASE)  # in what TensorFlow says of mixed dtypes
_ORDER: tuple[Status, ...] = ("exact", "linearised", "approximated", "as is")
_SEED = 20
_TINY = 1e-30  # in place of the scale of a tensor of zeros
_NONE = 0.3  # of random numbers, how many are none, and how many all


class Tracing:
    """The handler of one trace; what it has found is in its attributes afterwards."""

    def __init__(
        self,
        plan: Plan,
        paths: Mapping[int, str],
        heads: frozenset[int],
        unsaid: frozenset[int],
        unruled: frozenset[int],
        linear: frozenset[int],
        unit: Any,
        portions: Any,
    ) -> None:
        """`paths`: of layers, by id; `heads`: the ids of layers that give the model's output; `unsaid`: of variables
        whose name does not say what they are; `unruled`: of those whose layer has no rule of tfopt's; `linear`: which
        of `squashes` are the model's last; `unit`: a one; `portions`: see `Surrogate.run`."""
        self.plan = plan
        self.dtype = tf.as_dtype(plan.dtype)
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.made: list[Source] = []
        self.trials: list[Trial] = []
        self.constants: list[Any] = []  # what rules add
        self.offsets: dict[int, Any] = {}  # what offsets are for a unit of 1, by the variables' ids
        self.found: dict[int, Any] = {}  # whether a variable whose name does not say so is an offset, by its id
        self.squashes: list[Any] = []  # softmax results, in the order of their calls
        self.unscaled: dict[tuple[int, str], Any] = {}  # what tensors were before they were normalised, by their keys
        self.node: Node | None = None
        self.inside = False
        self.values: dict[int, Any] = {}
        self.watch: Callable[[Any], None] = lambda tensor: None
        self._paths, self._heads, self._unsaid, self._linear = paths, heads, unsaid, linear
        self._unruled, self._unit, self._portions = unruled, unit, portions
        self._calls: Counter[str] = Counter()
        self._known: dict[int, Source] = {}
        self._by_op: dict[tuple[int, str], Source] = {}
        self._gates: dict[int, tuple[Any, Any]] = {}
        self._same: dict[int, Any] = {}  # a copy's id → what it is a copy of
        self._keep: list[Any] = []  # ids are of use only while their tensors live
        self._said: dict[int, Any] = {}  # the values of the variables in `found`

    # ---- what rules ask for

    def mark(self, status: Status, reason: str) -> None:
        """The node that is being traced is no better than this."""
        if self.node is None:
            return
        self.node.status = max(self.node.status, status, key=_ORDER.index)
        if reason:
            self.node.reasons[reason] = None

    def ends_here(self) -> bool:
        """Whether the node that is being traced gives the model's output and its activation only scales it."""
        return self.node is not None and id(self.node.operation) in self._heads

    def constant(self, tensor: Any) -> Any:
        """See `Call.constant`."""
        added = self._counted(tensor)
        if self.plan.constants and added.graph is self._unit.graph:  # not in a loop, where no gradient can be asked for
            self.constants.append(added)
        return added

    def _counted(self, tensor: Any) -> Any:
        """An offset times the unit by which what the node adds is counted; nothing where it does not count."""
        if not self.plan.constants:
            return tf.zeros_like(tensor)
        unit = self._unit if self.node is None else self.node.unit
        return (tf.abs(tensor) if self.plan.free else tensor) * tf.cast(unit, tensor.dtype)

    def flows_in(self) -> bool:
        """Whether anything flows into the node that is being traced."""
        return self.node is not None and any(edge.target == self.node.index and edge.sources for edge in self.edges)

    def gate_value(self, tensor: Any) -> Any | None:
        """What a squashing function gives (with data) or gives at zero (without), where one made this tensor."""
        found = self._gates.get(id(tensor))
        return None if found is None else found[1]

    def gates(self, tensor: Any, value: Any) -> None:
        """Note that a squashing function made a tensor, and what `gate_value` is to give for it."""
        self._gates[id(tensor)] = (tensor, value)

    def in_halves(self) -> None:
        """The node that is being traced multiplies two tensors: linear in each, but not in both."""
        self.mark("approximated", "product split in halves")
        if self.node is not None:
            self.node.own = False

    def depends(self, tensor: Any, on: Any) -> bool:
        """Whether `tensor` was computed from `on`, as far as the graph of layers tells."""
        later, earlier = (self._known.get(id(self._origin(each))) for each in (tensor, on))
        if later is None or earlier is None or later.node == INPUT:
            return False
        return earlier.node == INPUT or bool(self.nodes[later.node].ancestors >> earlier.node & 1)

    def is_last(self) -> bool:
        """Whether a softmax or sigmoid that is about to be traced only scales the model's output."""
        last = self.ends_here() or len(self.squashes) in self._linear
        if last:
            self.squashed(None)
        return last

    def squashed(self, tensor: Any) -> Any:
        """Note the result of a softmax or sigmoid that may turn out to have been the last thing the model did."""
        self.squashes.append(tensor)
        return tensor

    def portion(self, tensor: Any, node: int) -> Any:
        """Something that paths start from, or the part of it that this run is of."""
        if not self.plan.free or not is_data(tensor):
            return tensor
        draw = tf.random.stateless_uniform((2, *tf.unstack(tf.shape(tensor))), (_SEED, node), dtype=tensor.dtype)
        part = tf.where(
            draw[0] < _NONE, tf.zeros_like(tensor), tf.where(draw[0] > 1 - _NONE, tf.ones_like(tensor), draw[1])
        )
        return keep_mask(tensor, tensor * (self._portions[0] + self._portions[1] * part))

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """In the block, Keras's functions are what they are."""
        before, self.inside = self.inside, True
        try:
            yield
        finally:
            self.inside = before

    def elementwise(self, name: str, function: Callable[..., Any], x: Any) -> Any:
        """f(x): without data the identity, with data f(0) as a bias and x times (f(x) − f(0)) / x."""
        if name == "sigmoid" and self.is_last():
            return tf.identity(x)
        if name in HOMOGENEOUS and not self.plan.free:
            with self.untouched():
                return function(x)
        if name not in HOMOGENEOUS:
            self.mark("linearised", name)
        if self.plan.free and name not in GATING:
            return tf.identity(x)
        with self.untouched():
            at_zero, slope_at_zero = around_zero(function)
            if self.plan.free:
                y = tf.identity(x)
                value = tf.fill(tf.shape(x), exactly(at_zero, x.dtype))
            else:
                value = tf.stop_gradient(function(x))
                small = tf.abs(x) < (1e-30 if x.dtype == tf.float32 else 1e-200)
                slope = tf.where(
                    small, exactly(slope_at_zero, x.dtype), (value - at_zero) / tf.where(small, tf.ones_like(x), x)
                )
                y = x * tf.stop_gradient(slope)
                if at_zero:
                    y = y + self.constant(tf.fill(tf.shape(x), exactly(at_zero, x.dtype)))
        if name in GATING:
            self.gates(y, value)
        return self.squashed(y) if name == "sigmoid" else y

    # ---- the calls

    def begin(self, inputs: list[Any]) -> None:
        """The model is about to be called on these floating-point tensors."""
        for tensor in inputs:
            self._note(Source(INPUT, tensor, no_scale() if self.plan.normalised else None))

    def __call__(self, operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call of a layer or operation."""
        if isinstance(operation, keras.layers.InputLayer | keras.Model) or self.inside:
            return run(*args, **kwargs)
        if self.node is not None:
            return self._ruled(operation, run, args, kwargs)
        node = Node(len(self.nodes), self._path(operation), operation, 0)
        node.call = self._calls[node.path] = self._calls[node.path] + 1
        node.unit = tf.identity(self._unit) if self.plan.constants else None
        self.nodes.append(node)
        common, args, kwargs = self._entering(node, args, kwargs)
        self.node = node
        try:
            invoke = partial(self._invoke, operation, run)
            self._in_dtype(node, lambda: self._weigh(node, invoke, (args, kwargs)))
            outputs = self._in_dtype(node, lambda: invoke((args, kwargs)))
            if not self.flows_in():
                outputs = keras.tree.map_structure(lambda leaf: self.portion(leaf, node.index), outputs)
            elif not node.own and self.plan.free:
                self.trials += trials(invoke, (args, kwargs), outputs, node, self.plan.constants)
                self.trials += weight_trials(
                    lambda: invoke((args, kwargs)), self.values, self._unruled_of(operation), outputs, node
                )
        finally:
            self.node = None
        growing = len([1 for edge in self.edges if edge.target == node.index]) > 1 or _has_weights(operation)
        return keras.tree.map_structure(
            lambda tensor: self._leaving(node, tensor, common, growing) if is_data(tensor) else tensor, outputs
        )

    def _in_dtype(self, node: Node, call: Callable[[], Any]) -> Any:
        """A call's outputs, in the dtype of this trace."""
        if self.plan.dtype != "float64":
            return call()
        try:
            outputs = call()
        except (TypeError, ValueError) as error:
            if _OTHER_DTYPE.search(str(error)):
                raise Lowered(node.path) from error
            raise
        if any(is_data(leaf) and leaf.dtype != self.dtype for leaf in keras.tree.flatten(outputs)):
            raise Lowered(node.path)
        return outputs

    def _unruled_of(self, operation: Any) -> list[int]:
        """The ids of its weights that a layer without a rule of tfopt's holds, where paths may lead through them."""
        held = map(id, getattr(operation, "weights", ()))
        return [
            each for each in held if each in self._unruled and each not in self.offsets and is_data(self.values[each])
        ]

    def _path(self, operation: Any) -> str:
        return self._paths.get(id(operation), str(operation.name))

    def _ruled(self, operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert self.node is not None
        call = Call(operation, args, kwargs, run, self)
        layer = isinstance(operation, keras.layers.Layer)
        if not call.tensors and not layer:  # counting, comparing
            return run(*args, **kwargs)
        found = rule_for(type(operation))
        if found is None or (not call.tensors and not found.own):
            self.mark("as is", "")
            self.node.own = False
            return run(*args, **kwargs)
        self.mark(found.status, found.reason)
        self.node.own = self.node.own and found.own and _knows_functions(operation)
        if not call.leaves:
            return run(*args, **kwargs)
        outputs = found.apply(call)
        return carry_mask(operation, [*args, *kwargs.values()][0], outputs) if layer else outputs

    def _invoke(self, operation: Any, run: Callable[..., Any], arguments: Any) -> Any:
        return self._ruled(operation, run, *arguments)

    def _entering(
        self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Copies of the tensors that a node takes, at one scale, and the logarithm of that."""
        rule = rule_for(type(node.operation))
        starts = rule is not None and rule.starts
        tensors = [leaf for leaf in keras.tree.flatten((args, kwargs)) if is_data(leaf) and not starts]
        found = [self._sources(tensor) for tensor in tensors]
        for sources in found:
            for source in sources:
                node.ancestors |= 0 if source.node == INPUT else self.nodes[source.node].ancestors | 1 << source.node
        common, factors = common_scale(found, self.dtype) if self.plan.normalised else (None, [None] * len(found))
        copies: dict[int, Any] = {}
        for tensor, sources, factor in zip(tensors, found, factors, strict=True):
            if id(tensor) in copies:
                continue
            copy = tf.cast(tensor, self.dtype) if tensor.dtype != self.dtype else tf.identity(tensor)
            self.watch(copy)
            self.edges.append(Edge(tuple(sources), node.index, copy, self._try(tensor, sources)))
            self._copied(tensor, copy)
            if factor is not None:
                copy = keep_mask(tensor, copy * factor)
                self._copied(tensor, copy)
            copies[id(tensor)] = copy
        args, kwargs = keras.tree.map_structure(
            lambda leaf: copies.get(id(leaf), constant_in(self.dtype, leaf)), (args, kwargs)
        )
        return common, args, kwargs

    def _copied(self, tensor: Any, copy: Any) -> None:
        keep_mask(tensor, copy)
        self._same[id(copy)] = tensor
        self._keep += [tensor, copy]
        if id(tensor) in self._gates:
            self._gates[id(copy)] = (copy, self._gates[id(tensor)][1])

    def _origin(self, tensor: Any) -> Any:
        while id(tensor) in self._same:
            tensor = self._same[id(tensor)]
        return tensor

    def _leaving(self, node: Node, tensor: Any, common: Any, growing: bool) -> Any:
        log_scale = common
        if self.plan.normalised and growing:
            # Without data a tensor is nowhere negative; where a layer makes it so, it is only scaled less well.
            largest = tf.stop_gradient(tf.maximum(tf.reduce_max(tensor), _TINY))
            made = tensor / largest
            self.unscaled[tensor_key(made)] = tensor
            log_scale = common + tf.math.log(tf.cast(largest, tf.float64))
        else:
            made = tf.identity(tensor)
        keep_mask(tensor, made)
        self._keep.append(tensor)
        if id(tensor) in self._gates:
            self._gates[id(made)] = (made, self._gates[id(tensor)][1])
        self.watch(made)  # also what the layer made of constants: then its flow shows where paths are lost
        self._note(Source(node.index, made, log_scale))
        return made

    def _note(self, source: Source) -> None:
        self.made.append(source)
        self._known[id(source.tensor)] = source
        self._by_op.setdefault(tensor_key(source.tensor), source)

    def sources_of(self, tensor: Any) -> tuple[list[Source], bool]:
        """What made an output of the model, and whether the graph of layers says so."""
        sources = self._sources(tensor)
        return sources, self._try(tensor, sources)

    def _try(self, tensor: Any, sources: Sequence[Source]) -> bool:
        """Whether the graph of layers says what made a tensor; where not, what Python made of its sources is tried."""
        known = id(tensor) in self._known
        if self.plan.free and not known:
            self.trials += between(tensor, [source.tensor for source in sources if source.tensor.graph is tensor.graph])
        return known

    def _sources(self, tensor: Any) -> list[Source]:
        """What made a tensor: its node, or the nodes and inputs that TensorFlow's graph leads back to."""
        if id(tensor) in self._known:
            return [self._known[id(tensor)]]
        found: dict[int, Source] = {}
        seen, todo = set(), [tensor]
        while todo:
            each = todo.pop()
            key = tensor_key(each)
            if key in seen:
                continue
            seen.add(key)
            source = self._by_op.get(key)
            if source is not None:
                found[id(source)] = source
            else:
                todo += list(each.op.inputs)
        return list(found.values())

    # ---- what a layer adds

    def _weigh(self, node: Node, invoke: Callable[[Any], Any], arguments: Any) -> None:
        """Give what a layer adds the unit of this call, or take it out."""
        operation = node.operation
        held = [id(variable) for variable in getattr(operation, "weights", ())]
        unsaid = [each for each in held if each in self._unsaid and each not in self.found]
        if unsaid:
            values = [self.values[each] for each in unsaid]
            verdicts = are_added(invoke, arguments, values)
            self.found.update((each, added) for each, (added, _) in zip(unsaid, verdicts, strict=True))
            self._said.update(zip(unsaid, values, strict=True))
            self.trials += [Trial(node.index, weights=tf.cast(both, tf.float64)) for _, both in verdicts]
        for each in held:
            if each in self.offsets:
                self.values[each] = self._counted(self.offsets[each])
            elif each in self.found:
                value = self._said[each]
                self.values[each] = tf.where(self.found[each], self._counted(value), value)


def _has_weights(operation: Any) -> bool:
    return bool(getattr(operation, "weights", ()))


def _knows_functions(operation: Any) -> bool:
    """Whether the functions that a layer was given are Keras's, or act on each element by themselves."""
    return all(getattr(function, "elementwise", True) for function in vars(operation).values() if callable(function))
