func.func @product(%x: tensor<512x2048xbf16> {hr.name = "x", hr.dims = [#hr.size<"512">, #hr.size<"2048">]}, %w: tensor<2048x512xbf16> {hr.name = "w", hr.dims = [#hr.size<"2048">, #hr.size<"512">]})
    -> (tensor<512x512xf32> {hr.name = "y", hr.dims = [#hr.size<"512">, #hr.size<"512">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<512x512xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<512x512xf32>) -> tensor<512x512xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<512x2048xbf16>, tensor<2048x512xbf16>) outs(%f : tensor<512x512xf32>) {
  ^bb0(%p: bf16, %q: bf16, %o: f32):
    %pf = arith.extf %p : bf16 to f32
    %qf = arith.extf %q : bf16 to f32
    %r = arith.mulf %pf, %qf : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<512x512xf32>
  return %m : tensor<512x512xf32>
}
