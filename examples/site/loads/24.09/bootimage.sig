Not a signature: this file stands where the signature of bootimage.iso goes.
