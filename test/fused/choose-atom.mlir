// Shape and description decide the atom, and with it the register tile and what
// is copied. These lines are records of decisions.

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=intel-sapphire-rapids})' | FileCheck %s --check-prefix=AMX
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=amd-zen4})' | FileCheck %s --check-prefix=DOT
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v4})' | FileCheck %s --check-prefix=FMA

// Fragments: two by two, the right operand in panels of pairs along k.
// AMX: hr.stage @even_contract_
// AMX-SAME: #hr.nest<vector = 1, vectors = 2, row = 0, rows = 32, block = 0, group = 2, packed = [1], cost = {{[0-9]+}}, atom = <instruction = "x86.tdpbf16ps", m = 16, n = 16, k = 32, fragments = true>>
// DOT: hr.stage @even_contract_
// DOT-SAME: group = 2, packed = [1], cost = {{[0-9]+}}, atom = <instruction = "x86.vdpbf16ps", m = 1, n = 16, k = 2, fragments = false>
// No atom for these types: multiply-adds of what is widened.
// FMA: hr.stage @even_contract_
// FMA-NOT: atom =
// FMA-SAME: ->
func.func @even(%x: tensor<128x256xbf16> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"256">]}, %w: tensor<256x128xbf16> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"128">]})
    -> (tensor<128x128xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"128">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x128xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x128xf32>) -> tensor<128x128xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x256xbf16>, tensor<256x128xbf16>) outs(%f : tensor<128x128xf32>) {
  ^bb0(%p: bf16, %q: bf16, %o: f32):
    %pf = arith.extf %p : bf16 to f32
    %qf = arith.extf %q : bf16 to f32
    %r = arith.mulf %pf, %qf : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x128xf32>
  return %m : tensor<128x128xf32>
}

// Rows and depth that are not whole fragments or groups: the left operand is
// copied too, with zeros behind it.
// AMX: hr.stage @odd_contract_
// AMX-SAME: packed = [0, 1], cost = {{[0-9]+}}, atom = <instruction = "x86.tdpbf16ps"
// DOT: hr.stage @odd_contract_
// DOT-SAME: packed = [0, 1], cost = {{[0-9]+}}, atom = <instruction = "x86.vdpbf16ps"
func.func @odd(%x: tensor<100x255xbf16> {hr.name = "x", hr.dims = [#hr.size<"100">, #hr.size<"255">]}, %w: tensor<255x128xbf16> {hr.name = "w", hr.dims = [#hr.size<"255">, #hr.size<"128">]})
    -> (tensor<100x128xf32> {hr.name = "y", hr.dims = [#hr.size<"100">, #hr.size<"128">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x128xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<100x128xf32>) -> tensor<100x128xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<100x255xbf16>, tensor<255x128xbf16>) outs(%f : tensor<100x128xf32>) {
  ^bb0(%p: bf16, %q: bf16, %o: f32):
    %pf = arith.extf %p : bf16 to f32
    %qf = arith.extf %q : bf16 to f32
    %r = arith.mulf %pf, %qf : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<100x128xf32>
  return %m : tensor<100x128xf32>
}

// One row would leave fragments empty.
// AMX: hr.stage @row_contract_
// AMX-NOT: fragments = true
// AMX-SAME: ->
func.func @row(%x: tensor<1x256xbf16> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"256">]}, %w: tensor<256x128xbf16> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"128">]})
    -> (tensor<1x128xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"128">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x128xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x128xf32>) -> tensor<1x128xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<1x256xbf16>, tensor<256x128xbf16>) outs(%f : tensor<1x128xf32>) {
  ^bb0(%p: bf16, %q: bf16, %o: f32):
    %pf = arith.extf %p : bf16 to f32
    %qf = arith.extf %q : bf16 to f32
    %r = arith.mulf %pf, %qf : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<1x128xf32>
  return %m : tensor<1x128xf32>
}

// f16 has no atom that sums in f32.
// AMX: hr.stage @half_contract_
// AMX-NOT: atom =
// AMX-SAME: ->
func.func @half(%x: tensor<128x256xf16> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"256">]}, %w: tensor<256x128xf16> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"128">]})
    -> (tensor<128x128xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"128">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x128xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x128xf32>) -> tensor<128x128xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x256xf16>, tensor<256x128xf16>) outs(%f : tensor<128x128xf32>) {
  ^bb0(%p: f16, %q: f16, %o: f32):
    %pf = arith.extf %p : f16 to f32
    %qf = arith.extf %q : f16 to f32
    %r = arith.mulf %pf, %qf : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x128xf32>
  return %m : tensor<128x128xf32>
}

// Weights and values have an atom where the program rounds the weights itself and
// the atom is faster than multiply-adds.
// AMX: hr.stage @attention_softmax_sum_
// AMX-SAME: vectors = 2, row = -1, rows = 32, block = 0, group = 1, cost = {{[0-9]+}}, atom = <instruction = "x86.tdpbf16ps", m = 16, n = 16, k = 32, fragments = true>>
// DOT: hr.stage @attention_softmax_sum_
// DOT-SAME: group = 1, cost = {{[0-9]+}}, atom = <instruction = "x86.vdpbf16ps", m = 1, n = 16, k = 2, fragments = false>
// FMA: hr.stage @attention_softmax_sum_
// FMA-NOT: atom =
// FMA-SAME: ->
func.func @attention(%e: tensor<128x256xf32> {hr.name = "e", hr.dims = [#hr.size<"128">, #hr.size<"256">]}, %v: tensor<256x64xbf16> {hr.name = "v", hr.dims = [#hr.size<"256">, #hr.size<"64">]})
    -> (tensor<128x64xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"64">]}) {
  %y = hr.softmax_sum %e, %v maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (j, d)>, affine_map<(i, j, d) -> (i, d)>]
      dims [#hr.size<"128">, #hr.size<"64">] weights bf16 : tensor<128x256xf32>, tensor<256x64xbf16> -> tensor<128x64xf32>
  return %y : tensor<128x64xf32>
}

// Exact weights are not rounded.
// DOT: hr.stage @exact_softmax_sum_
// DOT-NOT: atom =
// DOT-SAME: ->
func.func @exact(%e: tensor<128x256xf32> {hr.name = "e", hr.dims = [#hr.size<"128">, #hr.size<"256">]}, %v: tensor<256x64xbf16> {hr.name = "v", hr.dims = [#hr.size<"256">, #hr.size<"64">]})
    -> (tensor<128x64xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"64">]}) {
  %y = hr.softmax_sum %e, %v maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (j, d)>, affine_map<(i, j, d) -> (i, d)>]
      dims [#hr.size<"128">, #hr.size<"64">] : tensor<128x256xf32>, tensor<256x64xbf16> -> tensor<128x64xf32>
  return %y : tensor<128x64xf32>
}
