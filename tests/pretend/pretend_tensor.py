"""Tensors that say they live on the pretend accelerator `gpu:0`: values on the CPU, manners of a GPU.

`GpuTensor` wraps a CPU tensor. Every operation of torch comes by `Manners`, which refuses what a GPU refuses, notes
what a GPU has to wait for, and then lets the CPU compute on the wrapped tensors: the same bits.
"""

import functools
import traceback
from pathlib import Path
from typing import NamedTuple

import torch
from pretend_gpu import gpu
from torch.utils._python_dispatch import TorchDispatchMode

DOUBLE = (torch.float64, torch.complex128)
HELPERS = ("pretend_tensor.py", "pretend_gpu.py", "pretending.py")
# Operations that answer the host; others that do are tagged by torch, as the size of their result depends on values.
ANSWERS = ("aten::_local_scalar_dense", "aten::equal", "aten::is_nonzero")
BY_INDEX = ("aten::index", "aten::index_put_")  # their size depends on values of a mask, not of numbers
# A conjugate that is only marked as one is for the dispatcher above this level to resolve: here it is computed.
COMPUTED = {torch.ops.aten._conj.default: torch.conj_physical, torch.ops.aten._neg_view.default: torch.neg}


class Facts(NamedTuple):
    """What is to be known of an operation: its name, whether the host waits for it, whether it draws."""

    name: str
    waited_for: bool
    random: bool


@functools.cache  # asked for at each operation, and slow to ask for
def facts_of(func):
    """Facts of an operation of torch."""
    name, tags = func._schema.name, func.tags
    waited_for = name in ANSWERS or (name not in BY_INDEX and torch.Tag.dynamic_output_shape in tags)
    return Facts(name, waited_for, torch.Tag.nondeterministic_seeded in tags)


class PretendError(RuntimeError):
    """What a GPU would refuse."""


class GpuTensor(torch.Tensor):
    """A tensor of the pretend accelerator.

    Attributes:
        held: its values, on the CPU, of the same shape and strides.
        claim: memory of the pretend accelerator, given back when the last tensor with it goes.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held, claim):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="gpu:0",
        )

    def __init__(self, held, claim):
        self.held, self.claim = held, claim

    def __repr__(self):
        return f"GpuTensor({self.held!r})"

    def __reduce_ex__(self, protocol):
        """Saved as what a file has of a GPU's tensor: its values, copied to the host."""
        return self.cpu().__reduce_ex__(protocol)

    def numpy(self, **_options):
        """Refused, as torch refuses it of every device but the CPU; of a subclass it would say something else."""
        raise TypeError(
            "can't convert gpu:0 device type tensor to numpy; use Tensor.cpu() to copy it to the host first"
        )

    def tolist(self):
        """Python numbers, by a copy to the host."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return Manners().computed(func, args, kwargs or {})


class Manners(TorchDispatchMode):
    """How the pretend accelerator takes each operation of torch, while this is entered or a `GpuTensor` takes part."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.computed(func, args, kwargs or {})

    def computed(self, func, args, kwargs):
        """Result of an operation.

        Raises:
            PretendError: a GPU would refuse it.
            torch.OutOfMemoryError: the accelerator has no room for the result.
        """
        facts = facts_of(func)
        if facts.name == "aten::_to_copy":
            return self._moved(func, args, kwargs)
        if facts.name == "aten::copy_":
            return self._copied(func, *args, **kwargs)
        if facts.name in ("aten::_pin_memory", "aten::is_pinned"):
            raise PretendError(f"cannot pin memory of {args[0].device}: only dense CPU tensors can be pinned")
        given = [*_flat(args), *_flat(kwargs.values())]
        ours = [each for each in given if type(each) is GpuTensor]
        if not ours and not _is_gpu(kwargs.get("device")):
            return func(*args, **kwargs)
        self._refuse(facts.name, given)
        if facts.waited_for or (facts.name in BY_INDEX and any(_is_mask(each) for each in given[1:])):
            gpu.to_host.append(f"{facts.name} {place()}")
        return self._wrapped(self._run(func, args, kwargs, facts.random), {id(each.held): each for each in ours})

    def _refuse(self, name, given):
        """Raise for what meets on the accelerator but lives elsewhere; a number in a CPU tensor may."""
        for each in given:
            if type(each) is not GpuTensor and isinstance(each, torch.Tensor) and each.dim():
                raise PretendError(
                    f"{name}: expected all tensors on gpu:0, found one of shape {tuple(each.shape)} on {each.device}"
                )

    def _run(self, func, args, kwargs, random):
        """The operation on the wrapped tensors, with the accelerator's own random numbers."""
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type != "gpu":
            raise PretendError(f"{func}: expected a generator of gpu:0, found one of {generator.device}")
        held_args, held_kwargs = _held(args), {name: _held(value) for name, value in kwargs.items()}
        if _is_gpu(held_kwargs.get("device")):
            held_kwargs["device"] = "cpu"
        func = COMPUTED.get(func, func)
        if not random:
            return func(*held_args, **held_kwargs)
        with gpu.own_random_numbers():
            return func(*held_args, **held_kwargs)

    def _wrapped(self, results, known):
        """Results as tensors of the accelerator: the very same ones where the operation changed them in place.

        Args:
            results: of the CPU.
            known: identity of a wrapped tensor -> its wrapper.
        """
        if isinstance(results, list | tuple):
            return type(results)([self._wrapped(each, known) for each in results])
        if not isinstance(results, torch.Tensor):
            return results
        same = known.get(id(results))
        if same is None:
            return self._new(results)
        if same.shape != results.shape or same.stride() != results.stride():
            raise NotImplementedError(f"the pretend accelerator cannot change the shape of {tuple(same.shape)}")
        return same

    def _new(self, held):
        if held.dtype in DOUBLE and not gpu.float64:
            raise PretendError(f"gpu:0 does not support {held.dtype}")
        return GpuTensor(held, gpu.claim(held))

    def _moved(self, func, args, kwargs):
        """A copy, to the accelerator, from it, or on it."""
        (source,), options = args, dict(kwargs)
        wanted = options.pop("device", None)
        if options.pop("pin_memory", None):
            raise PretendError("cannot pin memory of gpu:0: only dense CPU tensors can be pinned")
        here = isinstance(source, GpuTensor)
        there = here if wanted is None else _is_gpu(wanted)
        if here and not there:
            gpu.to_host.append(f"a copy {place()}")
        if there and not here:
            gpu.from_host.append(f"a copy {place()}")
        made = func(_held(source), **options)
        return self._new(made) if there else made

    def _copied(self, func, into, source, *rest, **options):
        if isinstance(into, GpuTensor) != isinstance(source, GpuTensor):
            notes = gpu.to_host if isinstance(source, GpuTensor) else gpu.from_host
            notes.append(f"a copy {place()}")
        func(_held(into), _held(source), *rest, **options)
        return into


def _held(value):
    """The CPU's form of an argument."""
    if type(value) is GpuTensor:
        return value.held
    return type(value)(map(_held, value)) if type(value) in (list, tuple) else value


def _flat(values):
    """Arguments one by one, with those inside lists."""
    for value in values:
        if type(value) in (list, tuple):
            yield from _flat(value)
        else:
            yield value


def _is_gpu(device):
    return device is not None and torch.device(device).type == "gpu"


def _is_mask(value):
    return isinstance(value, torch.Tensor) and value.dtype == torch.bool


def place():
    """The innermost line outside torch and these helpers: "in loop.py:199"."""
    for frame, line in traceback.walk_stack(None):
        file = Path(frame.f_code.co_filename)
        if "torch" not in file.parts and file.name not in HELPERS:
            return f"in {file.name}:{line}"
    return "in torch"
