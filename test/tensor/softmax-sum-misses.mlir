// RUN: headrace-opt %s --hr-form-softmax-sum --split-input-file -mlir-print-op-on-diagnostic=false -verify-diagnostics | FileCheck %s

// Chains that are almost a softmax under a sum.

// CHECK-NOT: hr.softmax_sum

// Without the maximum subtracted it overflows where the streamed form does not.
// CHECK-LABEL: func.func @no_maximum
func.func @no_maximum(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e : tensor<3x5xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = math.exp %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// The maximum of other logits.
// CHECK-NOT: hr.softmax_sum
// CHECK-LABEL: func.func @other_maximum
// CHECK-NOT: hr.softmax_sum
func.func @other_maximum(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]},
    %f: tensor<3x5xf32> {hr.name = "f", hr.dims = [#hr.size<"3">, #hr.size<"5">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%f : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// The sum of something else.
// CHECK-LABEL: func.func @other_sum
// CHECK-NOT: hr.softmax_sum
func.func @other_sum(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// A maximum that does not start at -inf bounds the logits from below.
// CHECK-LABEL: func.func @bounded_maximum
// CHECK-NOT: hr.softmax_sum
func.func @bounded_maximum(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Divided twice.
// CHECK-LABEL: func.func @divided_twice
// CHECK-NOT: hr.softmax_sum
func.func @divided_twice(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %p2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%p, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p2, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// The weights have another reader: they are stored anyway.
// CHECK-LABEL: func.func @weights_returned
// CHECK-NOT: hr.softmax_sum
func.func @weights_returned(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]},
        tensor<3x5xf32> {hr.name = "w", hr.dims = [#hr.size<"3">, #hr.size<"5">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  // expected-remark @+1 {{softmax is not streamed: its weights are used elsewhere}}
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y, %p : tensor<3x4xf32>, tensor<3x5xf32>
}

// -----

// The contraction is over rows, the softmax over columns.
// CHECK-LABEL: func.func @other_dimension
// CHECK-NOT: hr.softmax_sum
func.func @other_dimension(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<3x4xf32> {hr.name = "v", hr.dims = [#hr.size<"3">, #hr.size<"4">]})
    -> (tensor<5x4xf32> {hr.name = "y", hr.dims = [#hr.size<"5">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<5x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<3x4xf32>) outs(%fy : tensor<5x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}
