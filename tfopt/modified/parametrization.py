"""A model whose weights are made by transforms: W′ of W and of factors, which a compiled step learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.model.layers import layer_tree, own_variables
from tfopt.modified.functional_call import functional_call, overridden
from tfopt.modified.transforms import Transform, transform
from tfopt.workload.failures import first_line
from tfopt.workload.step import loss_of

__all__ = ["Modified", "Parametrization", "parametrize"]

Given = str | Transform | Callable[..., Any]


@dataclass(frozen=True, eq=False)  # Keras variables are not hashable
class Modified:
    """One weight, the transforms that it goes through, in order, and their factors, in the same order."""

    variable: Any
    transforms: tuple[Transform, ...]
    factors: tuple[tuple[Any, ...], ...]

    def at(self, weight: Any, factors: Sequence[Sequence[Any]]) -> Any:
        """W′ for these values of the weight and the factors. UsageError where a transform fails on the weight, or
        changes its shape or dtype."""
        for each, given in zip(self.transforms, factors, strict=True):
            weight = self._through(each, weight, given)
        return weight

    def rough(self, weight: Any, factors: Sequence[Sequence[Any]]) -> tuple[str, ...]:
        """The names of transforms whose gradient is not the derivative of what they compute: they say so, or pass none
        on at these values, as `tf.round`."""
        found = []
        for each, given in zip(self.transforms, factors, strict=True):
            with tf.GradientTape() as tape:
                tape.watch(weight)
                made = self._through(each, weight, given)
            if each.gradient != "exact" or tape.gradient(made, weight) is None:
                found.append(each.name)
            weight = made
        return tuple(found)

    def _through(self, each: Transform, weight: Any, given: Sequence[Any]) -> Any:
        try:
            made = tf.convert_to_tensor(each.apply(weight, *given))
        except Exception as error:
            raise UsageError(
                f"{each.name} fails on {self.variable.path}: {first_line(error)}",
                "give a function of one tensor, made of TensorFlow's operations",
            ) from error
        if (made.dtype, made.shape) != (weight.dtype, weight.shape):
            raise UsageError(
                f"{each.name} makes {made.dtype.name}{made.shape} of {self.variable.path}, "
                f"which is {weight.dtype.name}{weight.shape}",
                "give a function that keeps shape and dtype",
            )
        return made


@dataclass(frozen=True, eq=False)  # Keras variables are not hashable
class Parametrization:
    """A model and the weights of it that are modified; called like the model, it runs at W′. The model stays as it is.

    `left_out` are the embeddings that `include` would have to name.
    """

    model: Any
    modified: tuple[Modified, ...]
    left_out: tuple[str, ...] = ()

    def __call__(self, *args: Any, return_losses: bool = False, **kwargs: Any) -> Any:
        return functional_call(self.model, self.weights(), *args, return_losses=return_losses, **kwargs)

    @property
    def factors(self) -> list[Any]:
        """The factors of all transforms: Keras variables, which may be assigned without tracing anything again."""
        return [factor for each in self.modified for group in each.factors for factor in group]

    def weights(self) -> list[tuple[Any, Any]]:
        """The modified variables, each with W′, of which gradients reach W and the factors."""
        return [
            (
                each.variable,
                each.at(
                    tf.convert_to_tensor(each.variable.value),
                    [[tf.convert_to_tensor(factor.value) for factor in group] for group in each.factors],
                ),
            )
            for each in self.modified
        ]

    def training_step(
        self, optimizer: Any = "adam", *, learn: Literal["factors", "all"] = "factors", xla: bool = False
    ) -> Callable[..., Any]:
        """A compiled step `step(x, y, sample_weight=None)`, which gives the loss of the compiled model.

        Args:
            optimizer: a Keras optimizer of its own, or the name of one; it scales the loss where the model's does.
            learn: the factors alone, or also the model's trainable weights, those that are modified through W′.
            xla: compile it with XLA.

        Raises:
            InputError: the model is not compiled.
            UsageError: there is nothing to learn.
            RunFailed: in the first step: no gradient reaches a factor or a modified weight.
        """
        if not self.model.compiled:
            raise InputError(f"{self.model.name} is not compiled: it has no loss", "call model.compile(loss=…) first")
        learned = [*self.factors, *(self.model.trainable_weights if learn == "all" else ())]
        if not learned:
            raise UsageError("no transform has a factor to learn", "use scale or low-rank, or learn='all'")
        needed = {id(variable) for variable in (*self.factors, *(each.variable for each in self.modified))}
        optimizer = keras.optimizers.get(optimizer)
        scaling = keras.optimizers.LossScaleOptimizer
        if isinstance(self.model.optimizer, scaling) and not isinstance(optimizer, scaling):
            optimizer = scaling(optimizer)
        optimizer.build(learned)

        def step(x: Any, y: Any, sample_weight: Any = None) -> Any:
            with tf.GradientTape() as tape:
                with overridden(self.model, self.weights()):
                    loss = loss_of(self.model, x, y, sample_weight)
                scaled = optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, learned)
            unreached = [
                variable.path
                for variable, gradient in zip(learned, gradients, strict=True)
                if gradient is None and id(variable) in needed
            ]
            if unreached:
                raise RunFailed(
                    f"no gradient reaches {', '.join(unreached)}",
                    "the loss does not depend on it, or a transform has no derivative: pass one straight through",
                )
            optimizer.apply_gradients(zip(gradients, learned, strict=True))
            return loss

        return tf.function(step, autograph=False, jit_compile=xla, reduce_retracing=True)  # type: ignore[no-any-return]

    def fold(self) -> Any:
        """A copy of the model that has W′ for its weights; compiled like it, with an optimizer that starts anew."""
        from tfopt.modified.copying import copied

        copy, counterparts = copied(self.model)
        for variable, value in self.weights():
            counterparts[id(variable)].assign(value)
        return copy


def parametrize(
    model: Any, transforms: Given | list[Given] | tuple[Given, ...], *, include: Sequence[str] = (), seed: int = 0
) -> Parametrization:
    """Put transforms between a model and its weights.

    Args:
        model: a built Keras model.
        transforms: one or several, applied in order: words such as `"scale=0.5"` (see `TRANSFORMS`), `Transform`s, or
            functions of a weight.
        include: patterns of the paths of weights, as in `"dense_*/kernel"`. Default: every trainable kernel but those
            of embeddings, whose sparse gradients become dense, up to 15 times slower: name them if you want them.
        seed: of factors that are drawn.

    Raises:
        InputError: the model is not built.
        UsageError: an unknown transform, or no weight is like `include`.
    """
    if not model.built:
        raise InputError(f"{model.name} is not built", "call it on a batch, or model.build(input_shape), first")
    chain = tuple(transform(each) for each in (transforms if isinstance(transforms, list | tuple) else [transforms]))
    chosen, left_out = _chosen(model, include)
    rng = np.random.default_rng(seed)
    return Parametrization(model, tuple(_modified(variable, chain, rng) for variable in chosen), left_out)


def _modified(variable: Any, chain: tuple[Transform, ...], rng: np.random.Generator) -> Modified:
    def factors(each: Transform) -> tuple[Any, ...]:
        return tuple(
            keras.Variable(value, dtype=variable._dtype, name=f"{variable.path.replace('/', '_')}_{number}")
            for number, value in enumerate(each.start(tuple(variable.shape), rng))
        )

    return Modified(variable, chain, tuple(factors(each) for each in chain))


def _chosen(model: Any, include: Sequence[str]) -> tuple[list[Any], tuple[str, ...]]:
    """The weights to modify, and the paths of embeddings that are left alone."""
    tree = layer_tree(model)
    embeds = {node.path for node in tree if isinstance(node.layer, keras.layers.Embedding)}
    owned = [(path, variable) for path, variables in own_variables(tree).items() for variable in variables]
    floating = [(path, each) for path, each in owned if keras.backend.is_float_dtype(each._dtype)]
    if include:
        chosen = [each for _, each in floating if any(fnmatchcase(each.path, pattern) for pattern in include)]
        left_out: tuple[str, ...] = ()
    else:
        kernels = [(path, each) for path, each in floating if _is_kernel(each)]
        chosen = [each for path, each in kernels if path not in embeds]
        left_out = tuple(each.path for path, each in kernels if path in embeds)
    if not chosen:
        asked = f"is like {' or '.join(include)}" if include else "is a trainable kernel"
        raise UsageError(f"no weight of {model.name} {asked}", "paths are those of model.weights: dense/kernel")
    return chosen, left_out


def _is_kernel(variable: Any) -> bool:
    return bool(variable.trainable and len(variable.shape) >= 2 and "bias" not in variable.name)
