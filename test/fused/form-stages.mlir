// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-prepare-stages,hr-form-stages{target=generic-x86-64-v4})' | FileCheck %s
// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-prepare-stages,hr-form-stages{fuse=false target=generic-x86-64-v4})' | FileCheck %s --check-prefix=PLAIN

// A contraction takes its bias and activation along, and its weight is stored
// in panels of the vector width. The oracle keeps each operation apart.

// CHECK: hr.weight @"w/panels48of0_1" {hr.layout = "panels of 48 along dimension 0", hr.reason = "read along the lanes of a vector", hr.repacked_from = "w"} : tensor<2x64x48xf32>
// CHECK-NOT: hr.weight @w :
// CHECK-LABEL: func.func @linear_tanh
// CHECK: %[[W:.+]] = hr.constant [@"w/panels48of0_1"]
// CHECK: hr.stage @linear_tanh_contract_0(%arg0, %{{.+}}, %[[W]])
// CHECK: linalg.unpack
// CHECK: math.tanh
// CHECK-NOT: hr.stage
// PLAIN-LABEL: func.func @linear_tanh
// PLAIN-COUNT-2: hr.stage
// PLAIN: return
hr.weight @w : tensor<96x64xf32>
hr.weight @b : tensor<96xf32>
func.func @linear_tanh(%x: tensor<32x64xf32> {hr.name = "x", hr.dims = [#hr.size<"32">, #hr.size<"64">]})
    -> (tensor<32x96xf32> {hr.name = "y", hr.dims = [#hr.size<"32">, #hr.size<"96">]}) {
  %w = hr.constant [@w] : tensor<96x64xf32>
  %b = hr.constant [@b] : tensor<96xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<32x96xf32>) -> tensor<32x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<32x64xf32>, tensor<96x64xf32>) outs(%f : tensor<32x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<32x96xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%m, %b : tensor<32x96xf32>, tensor<96xf32>) outs(%e : tensor<32x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    %s = math.tanh %r : f32
    linalg.yield %s : f32
  } -> tensor<32x96xf32>
  return %t : tensor<32x96xf32>
}

// -----

// A weight that is also gathered from keeps its one layout: no panels.

// CHECK-NOT: panels
// CHECK-LABEL: func.func @tied
// CHECK: hr.constant [@table] : tensor<96x64xf32>
// CHECK-NOT: linalg.unpack
hr.weight @table : tensor<96x64xf32>
func.func @tied(%i: tensor<32xi64> {hr.name = "i", hr.dims = [#hr.size<"32">]})
    -> (tensor<32x96xf32> {hr.name = "y", hr.dims = [#hr.size<"32">, #hr.size<"96">]}) {
  %w = hr.constant [@table] : tensor<96x64xf32>
  %x = hr.gather %w[%i] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
      dims [#hr.size<"32">, #hr.size<"64">] what "embedding" : tensor<96x64xf32>, (tensor<32xi64>) -> tensor<32x64xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<32x96xf32>) -> tensor<32x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<32x64xf32>, tensor<96x64xf32>) outs(%f : tensor<32x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<32x96xf32>
  return %m : tensor<32x96xf32>
}

// -----

// A product that sums over another's results is a part of its stage where that is
// clearly faster: the rows of a tile are handed over in a cache.

// CHECK-LABEL: func.func @chain
// CHECK: hr.stage @chain_contract_contract_0
// CHECK-SAME: edges = [#hr.edge<nest = 0, value = 0, memory = "l1", bytes = 3072>]
// CHECK-NOT: hr.stage
func.func @chain(%x: tensor<64x64xf32> {hr.name = "x", hr.dims = [#hr.size<"64">, #hr.size<"64">]})
    -> (tensor<64x64xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"64">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %x : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<64x64xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%m, %x : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<64x64xf32>
  return %n : tensor<64x64xf32>
}

// -----

// Of one row there would be one tile: two stages, each over columns.

// CHECK-LABEL: func.func @one_row
// CHECK-COUNT-2: hr.stage
// CHECK-NOT: hr.stage
func.func @one_row(%x: tensor<1x512xf32> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"512">]},
                   %w: tensor<512x512xf32> {hr.name = "w", hr.dims = [#hr.size<"512">, #hr.size<"512">]})
    -> (tensor<1x512xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"512">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x512xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x512xf32>) -> tensor<1x512xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<1x512xf32>, tensor<512x512xf32>) outs(%f : tensor<1x512xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<1x512xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%m, %w : tensor<1x512xf32>, tensor<512x512xf32>) outs(%f : tensor<1x512xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<1x512xf32>
  return %n : tensor<1x512xf32>
}

// -----

// The logits of a streamed reduction stay in its stage, with the mask between.

// CHECK-LABEL: func.func @attention
// CHECK: hr.stage @attention_contract_softmax_sum_0
// CHECK-NOT: hr.stage
func.func @attention(%q: tensor<12x128x32xf32> {hr.name = "q", hr.dims = [#hr.size<"12">, #hr.size<"128">, #hr.size<"32">]},
                     %k: tensor<12x128x32xf32> {hr.name = "k", hr.dims = [#hr.size<"12">, #hr.size<"128">, #hr.size<"32">]},
                     %v: tensor<12x128x32xf32> {hr.name = "v", hr.dims = [#hr.size<"12">, #hr.size<"128">, #hr.size<"32">]})
    -> (tensor<12x128x32xf32> {hr.name = "y", hr.dims = [#hr.size<"12">, #hr.size<"128">, #hr.size<"32">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<12x128x128xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<12x128x128xf32>) -> tensor<12x128x128xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(h, i, j, k) -> (h, i, k)>, affine_map<(h, i, j, k) -> (h, j, k)>, affine_map<(h, i, j, k) -> (h, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%q, %k : tensor<12x128x32xf32>, tensor<12x128x32xf32>) outs(%f : tensor<12x128x128xf32>) {
  ^bb0(%p: f32, %r: f32, %o: f32):
    %s = arith.mulf %p, %r : f32
    %t = arith.addf %o, %s : f32
    linalg.yield %t : f32
  } -> tensor<12x128x128xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(h, i, j) -> (h, i, j)>, affine_map<(h, i, j) -> (h, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%m : tensor<12x128x128xf32>) outs(%e : tensor<12x128x128xf32>) {
  ^bb0(%p: f32, %o: f32):
    %i = linalg.index 1 : index
    %j = linalg.index 2 : index
    %below = arith.cmpi ule, %j, %i : index
    %none = arith.constant 0xFF800000 : f32
    %s = arith.select %below, %p, %none : f32
    linalg.yield %s : f32
  } -> tensor<12x128x128xf32>
  %a = hr.softmax_sum %c, %v maps [affine_map<(h, i, j, d) -> (h, i, j)>, affine_map<(h, i, j, d) -> (h, j, d)>, affine_map<(h, i, j, d) -> (h, i, d)>]
      dims [#hr.size<"12">, #hr.size<"128">, #hr.size<"32">] : tensor<12x128x128xf32>, tensor<12x128x32xf32> -> tensor<12x128x32xf32>
  return %a : tensor<12x128x32xf32>
}
