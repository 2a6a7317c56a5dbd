// How many products a sum adds up before it joins the rest follows from what a
// block costs: these lines are records of decisions.

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v4})' | FileCheck %s
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v4},hr-tile-stages)' | FileCheck %s --check-prefix=LOOP

// Totals find no registers beside the sums of a whole tile.
// CHECK: hr.stage @tile_contract_
// CHECK-SAME: rows = 8, block = 128, cost
// CHECK-SAME: totals_in_scratch = true
// So they are in scratch, where a block's sums are added to them. The place that is
// read from is not known to be the one that was written to, or it would be held in
// registers after all.
// LOOP: func.func private @tile_contract_
// LOOP: %[[ZERO:.*]] = arith.minsi %arg0, %c0
// LOOP: %[[TOTALS:.*]] = memref.view %arg2
// LOOP: vector.store {{.*}}, %[[TOTALS]][%c0
// LOOP: scf.for
// LOOP: %[[BLOCK:.*]]:24 = scf.for {{.*}} iter_args
// LOOP: math.fma
// LOOP: %[[PLACE:.*]] = arith.addi %[[ZERO]], %c0
// LOOP: %[[FIRST:.*]] = vector.load %[[TOTALS]][%[[PLACE]]]
// LOOP: arith.addf %[[FIRST]], %[[BLOCK]]#0
func.func @tile(%x: tensor<128x256xf32> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"256">]}, %w: tensor<256x96xf32> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"96">]})
    -> (tensor<128x96xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x256xf32>, tensor<256x96xf32>) outs(%f : tensor<128x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x96xf32>
  return %m : tensor<128x96xf32>
}

// A panel that is read once comes from far.
// CHECK: hr.stage @few_rows_contract_
// CHECK-SAME: rows = 8, block = 32, cost
func.func @few_rows(%x: tensor<8x256xf32> {hr.name = "x", hr.dims = [#hr.size<"8">, #hr.size<"256">]}, %w: tensor<256x96xf32> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"96">]})
    -> (tensor<8x96xf32> {hr.name = "y", hr.dims = [#hr.size<"8">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x96xf32>) -> tensor<8x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<8x256xf32>, tensor<256x96xf32>) outs(%f : tensor<8x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<8x96xf32>
  return %m : tensor<8x96xf32>
}

// Twice is still seldom.
// CHECK: hr.stage @more_rows_contract_
// CHECK-SAME: rows = 9, block = 64, cost
func.func @more_rows(%x: tensor<18x256xf32> {hr.name = "x", hr.dims = [#hr.size<"18">, #hr.size<"256">]}, %w: tensor<256x96xf32> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"96">]})
    -> (tensor<18x96xf32> {hr.name = "y", hr.dims = [#hr.size<"18">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<18x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<18x96xf32>) -> tensor<18x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<18x256xf32>, tensor<256x96xf32>) outs(%f : tensor<18x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<18x96xf32>
  return %m : tensor<18x96xf32>
}

// Totals stay in registers.
// CHECK: hr.stage @vector_contract_
// CHECK-SAME: block = 16, cost = {{[0-9]+}}>
func.func @vector(%x: tensor<3x256xf32> {hr.name = "x", hr.dims = [#hr.size<"3">, #hr.size<"256">]}, %w: tensor<256x96xf32> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"96">]})
    -> (tensor<3x96xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x96xf32>) -> tensor<3x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<3x256xf32>, tensor<256x96xf32>) outs(%f : tensor<3x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<3x96xf32>
  return %m : tensor<3x96xf32>
}

// Long sums have blocks that cost nothing beside them; a loop adds them up.
// CHECK: hr.stage @deep_contract_
// CHECK-SAME: rows = 8, block = 256, cost
// LOOP: func.func private @deep_contract_
// LOOP: %[[BLOCK:.*]] = arith.constant 256 : index
// LOOP: scf.for {{.*}} step %[[BLOCK]] {
// LOOP: math.fma
// LOOP: arith.addf
func.func @deep(%x: tensor<128x2048xf32> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"2048">]}, %w: tensor<2048x96xf32> {hr.name = "w", hr.dims = [#hr.size<"2048">, #hr.size<"96">]})
    -> (tensor<128x96xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x2048xf32>, tensor<2048x96xf32>) outs(%f : tensor<128x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x96xf32>
  return %m : tensor<128x96xf32>
}

// Totals are sums too: no more of them than products in each.
// CHECK: hr.stage @long_contract_
// CHECK-SAME: block = 300
func.func @long(%x: tensor<128x90000xf32> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"90000">]}, %w: tensor<90000x96xf32> {hr.name = "w", hr.dims = [#hr.size<"90000">, #hr.size<"96">]})
    -> (tensor<128x96xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x90000xf32>, tensor<90000x96xf32>) outs(%f : tensor<128x96xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x96xf32>
  return %m : tensor<128x96xf32>
}

// Results of 16-bit factors have an ulp that hides the roundings.
// CHECK: hr.stage @narrow_contract_
// CHECK-SAME: block = 256
func.func @narrow(%x: tensor<128x512xbf16> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"512">]}, %w: tensor<512x96xbf16> {hr.name = "w", hr.dims = [#hr.size<"512">, #hr.size<"96">]})
    -> (tensor<128x96xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"96">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x512xbf16>, tensor<512x96xbf16>) outs(%f : tensor<128x96xf32>) {
  ^bb0(%p: bf16, %q: bf16, %o: f32):
    %pw = arith.extf %p : bf16 to f32
    %qw = arith.extf %q : bf16 to f32
    %r = arith.mulf %pw, %qw : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x96xf32>
  return %m : tensor<128x96xf32>
}

// Integers do not round.
// CHECK: hr.stage @exact_contract_
// CHECK-SAME: block = 0
func.func @exact(%x: tensor<128x256xi32> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"256">]}, %w: tensor<256x96xi32> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"96">]})
    -> (tensor<128x96xi32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"96">]}) {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<128x96xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<128x96xi32>) -> tensor<128x96xi32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x256xi32>, tensor<256x96xi32>) outs(%f : tensor<128x96xi32>) {
  ^bb0(%p: i32, %q: i32, %o: i32):
    %r = arith.muli %p, %q : i32
    %s = arith.addi %o, %r : i32
    linalg.yield %s : i32
  } -> tensor<128x96xi32>
  return %m : tensor<128x96xi32>
}
